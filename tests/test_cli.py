"""What a user types wrong gives one sentence, exit code 2 and no half-written folder; the README's example runs as shown."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import spacetime_tps
from spacetime_tps.cli import app
from spacetime_tps.coordinates.automatic import AUTO
from spacetime_tps.methods.guided import Guided
from spacetime_tps.methods.reverse import Reverse
from spacetime_tps.methods.steered import Steered
from spacetime_tps.pipeline.compare import BUDGET
from spacetime_tps.problems.system import SystemSpec, bundled_systems
from spacetime_tps.settings import Settings
from spacetime_tps.terminal import errors_as_sentences

FOLDER = bundled_systems()["alanine_dipeptide"]
START, END = str(FOLDER / "c5.pdb"), str(FOLDER / "c7ax.pdb")
ROOT = Path(__file__).parent.parent


def without_last_residue(path: Path) -> str:
    lines = (FOLDER / "c7ax.pdb").read_text().splitlines()
    path.write_text("\n".join(line for line in lines if " NME " not in line and not line.startswith("CONECT")))
    return str(path)


FIELD = ["--forcefield", "amber99sbildn.xml"]
ALANINE = ["run", "alanine_dipeptide", "--out", "OUT"]
CASES = [
    (["run", "alanine_dipeptide"], "say where the run goes: --out DIR"),
    (["run", "alanin", "--out", "OUT"], "there is no system 'alanin'"),
    (["run", "--out", "OUT"], "give a system, or --start"),
    (["run", "alanine_dipeptide", "--start", START, "--out", "OUT"], "not both"),
    (["run", "--start", "gone.pdb", "--end", END, *FIELD, "--out", "OUT"], "gone.pdb: there is no such file"),
    (["run", "--start", START, "--end", START, *FIELD, "--out", "OUT"], "same state"),
    (["run", "--start", START, "--end", END, "--forcefield", "amber99sbildm.xml", "--out", "OUT"], "did you mean 'amber99sbildn.xml'"),
    (["run", "--start", START, "--end", END, "--forcefield", "tip3p.xml", "--out", "OUT"], "does not fit the molecule"),
    (["run", "--start", START, "--end", "SHORT", *FIELD, "--out", "OUT"], "22 atoms and short.pdb 16: short.pdb lacks residue 3 NME"),
    ([*ALANINE, "--set", "guided.pats=3"], "unknown setting 'guided.pats'; the nearest is 'guided.paths'"),
    ([*ALANINE, "--set", "guided.paths"], "--set wants key=value"),
    ([*ALANINE, "--set", "guided.stride=7"], "must be a multiple of stride"),
    ([*ALANINE, "--reverse", "5", "--guided", "0", "--unbiased", "5"], "reverse asks for paths back along curves that none are walked"),
    ([*ALANINE, "--set", "windows.count=many"], "windows.count"),
    ([*ALANINE, "--set", "guided.paths=["], "cannot read the value"),
    ([*ALANINE, "--set", "seed=2020-13-40"], "cannot read the value"),
    ([*ALANINE, "--set", "windows.steps=300"], "steps must exceed discard"),
    ([*ALANINE, "--guided", "0"], "no stage is asked for paths"),
    ([*ALANINE, "--temperature", "-5"], "temperature_K"),
    ([*ALANINE, "--set", "dynamics.platform=Abacus"], "no OpenMM platform 'Abacus'"),
    ([*ALANINE, "--avoid", "omega=-20:20"], "names 'omega', which is none of the coordinates phi, psi"),
    ([*ALANINE, "--avoid", "phi=-20:200"], "not within -180 to 180 degrees"),
    ([*ALANINE, "--avoid", "phi=-20"], "neither a box"),
    ([*ALANINE, "--avoid", "rmsd(none.pdb)<0.05"], "--avoid none.pdb: there is no such file"),
    ([*ALANINE, "--avoid", "phi=30:90 psi=-60:0"], "the end structure lies in the forbidden region 'phi=30:90 psi=-60:0'"),
    (["report", "OUT"], "holds no finished run"),
    (["export", "OUT"], "holds no paths to export"),
    (["export", "OUT", "--format", "mp3"], "unknown format 'mp3'"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), CASES, ids=[c[1][:32] for c in CASES])
def test_mistakes_give_one_sentence(words: list[str], sentence: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    places = {"OUT": str(out), "SHORT": without_last_residue(tmp_path / "short.pdb")}
    result = CliRunner().invoke(app, [places.get(w, w) for w in words])
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not out.exists()


def _killed() -> None:
    with errors_as_sentences():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5.0)


def _interrupted() -> None:
    with errors_as_sentences():
        raise KeyboardInterrupt


@pytest.mark.parametrize(("end", "code"), [(_killed, 143), (_interrupted, 130)])
def test_who_ends_a_run_is_answered_in_a_sentence(end: Callable[[], None], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        end()
    assert ended.value.code == code
    assert "the same command goes on from there" in " ".join(capsys.readouterr().err.split())
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output.split()) == (0, ["spacetime-tps", spacetime_tps.__version__])
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", spacetime_tps.__version__)
    assert {"__version__", "run", "prepare"} <= set(dir(spacetime_tps))
    assert CliRunner().invoke(app, ["-h"]).output == CliRunner().invoke(app, ["--help"]).output


@pytest.mark.parametrize("command", [[], ["run"], ["report"], ["export"], ["throughput"], ["compare"]])
def test_help_names_every_option(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "160"})
    assert result.exit_code == 0
    if command == ["run"]:
        for option in (
            "--out",
            "--guided",
            "--seed",
            "--set",
            "--start",
            "--end",
            "--forcefield",
            "--solvent",
            "--system",
            "--coordinates",
            "--temperature",
            "--routes",
            "--avoid",
            "--reverse",
        ):
            assert option in result.output


def test_defaults_that_help_tells_are_those_of_the_settings() -> None:
    found = {p.name: re.search(r"\[default: (.*)\]", p.help or "") for p in typer.main.get_command(app).commands["run"].params}  # type: ignore[attr-defined]
    told = {name: match[1] for name, match in found.items() if match}
    s, kelvin = Settings(), SystemSpec.model_fields["temperature_K"].default
    assert told == {
        "guided": f"{s.guided.paths}", "unbiased": f"{s.unbiased.paths}", "budget": f"{s.unbiased.budget / 1e6:g} million",
        "seed": f"{s.seed}", "routes": f"{s.rounds.routes}", "temperature": f"the system's, or {kelvin:g}",
        "coordinates": f"the system's, or {AUTO}", "solvent": str(SystemSpec.model_fields["solvent"].default).lower(),
    }  # fmt: skip
    (budget,) = [p for p in typer.main.get_command(app).commands["compare"].params if p.name == "budget"]  # type: ignore[attr-defined]
    assert f"[default: {BUDGET / 1e6:g} million]" in budget.help


def test_the_readme_example_runs_as_shown(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    (tmp_path / "example.py").write_text(blocks[0])
    result = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "10 paths" in result.stdout
    assert "PyMBAR" not in result.stdout + result.stderr
    assert "Warning" not in result.stderr


@pytest.mark.parametrize(("words", "back"), [(["--reverse", "7"], (7, 0)), (["--reverse", "7", "--steered", "3"], (7, 7)), ([], (0, 0))])
def test_paths_back_are_asked_for_along_all_lines_and_told_of(
    words: list[str], back: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Settings] = []
    nothing = dict.fromkeys(("dissipated_kT", "free_energy_difference_kT", "overlap"))
    spent = {"dissipated_kT": {"value": 37.94, "standard_error": 0.96}}
    free = {"free_energy_difference_kT": {"value": 1.23, "standard_error": 0.31}, "overlap": 0.314}
    work = {
        "p": {**nothing, "note": "Too few."},
        "q": {**nothing, **spent, "note": "No overlap."},
        "r": {**nothing, **spent, **free, "note": None},
    }

    def run(spec: object, out: Path, settings: Settings, progress: object) -> dict[str, Any]:
        given.append(settings)
        none = {"failed": None, "by_route": {}, "stages": {}, "unbiased": None, "avoid": None, "evaluations": {"total": 9}}
        return {**none, "work": {"guided": work}}

    monkeypatch.setattr("spacetime_tps.pipeline.run.run", run)
    result = CliRunner().invoke(app, ["run", "alanine_dipeptide", "--out", str(tmp_path), *words])
    assert result.exit_code == 0
    assert tuple(Reverse(method).asked(given[0]) for method in (Guided(), Steered())) == back
    assert result.output.splitlines()[:3] == [
        "guided both ways, p. Too few.",
        "guided both ways, q: dissipated work 37.9 ± 1.0 kT. No overlap.",
        "guided both ways, r: dissipated work 37.9 ± 1.0 kT, F(B) - F(A) = 1.2 ± 0.3 kT by BAR (overlap 0.31)",
    ]
