"""What is kept of a chain's moves and what it begins from, on paths made by hand: rows, counts and energies follow on paper.

The moves themselves are OpenPathSampling's (test_compare_ops); here they are given.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hinge import PHI, PSI, ZERO, A, B, Told, frames, handed, letters, placed

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_json
from spacetime_tps.paths.transition import Transition, keep_path, read_transitions, write_transitions
from spacetime_tps.rivals import chains
from spacetime_tps.rivals.chains import Chain
from spacetime_tps.rivals.protocol import Contest
from spacetime_tps.rivals.starts import InitialPath, _piece, from_guided
from spacetime_tps.storage.folder import Folder
from spacetime_tps.trajectories.frames import Frames

STRIDE = 50


def contest(folder: Path, **changes: Any) -> Contest:
    whole: dict[str, Any] = {
        "problem": handed(), "run": Folder(folder), "run_state": "", "budget": 10**6, "seed": 5, "stride": STRIDE, "longest": 1000,
        "guided_stride": 25, "length": 5, "progress": Told(),
    }  # fmt: skip
    return Contest(**whole | changes)


def energy(phi: Any, psi: float) -> Any:
    """kJ/mol above zero."""
    return PHI * (1.0 + np.cos(2.0 * np.radians(phi))) + PSI * (1.0 - np.cos(np.radians(psi - 20.0))) - ZERO


def move(phi: list[float], *, psi: float = 20.0, accepted: bool = True, renewed: bool = False, evaluations: int = 7) -> Any:
    x = placed(phi, psi)
    return SimpleNamespace(
        accepted=accepted, renewed=renewed, positions=x, velocities=np.zeros_like(x), evaluations=evaluations, integrator_steps=evaluations
    )


class Given(Chain):
    """A chain whose moves are these."""

    moves: tuple[Any, ...] = ()

    def _moves(self, contest: Contest, initial: InitialPath, length: int | None) -> Iterator[Any]:
        yield from self.moves


def chain(where: Contest, out: Path, *moves: Any, monkeypatch: pytest.MonkeyPatch, fixed: bool = False) -> tuple[dict[str, Any], list[Any]]:
    """summary.json and the asked lengths of the initial path."""
    asked: list[Any] = []

    def start(_: Contest, length: int | None) -> InitialPath:
        asked.append(length)
        return InitialPath(np.zeros((0, 5, 3)), np.zeros((0, 5, 3)), {"training_md": 30, "hot_md": 12}, {"from": "here"})

    monkeypatch.setattr(chains, "find_spec", lambda name: name)
    given = Given("by-hand", chains.one_way, start, fixed)
    object.__setattr__(given, "moves", moves)
    given.run(where, out)
    return Folder(out).record("summary.json"), asked


FIRST, LONG, BACK = [-90.0, 0.0, 90.0], [-90.0, -30.0, 10.0, 30.0, 90.0], [90.0, 45.0, 20.0, -90.0]


def test_a_path_is_kept_every_ten_moves_once_the_initial_one_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moves = [
        move(FIRST, accepted=False), move(LONG), move(BACK, renewed=True), *[move(BACK, accepted=False)] * 9,  # 1 to 12
        move(LONG, psi=-20.0), move(LONG, psi=-20.0, accepted=False, renewed=True), *[move(LONG, evaluations=9)] * 10, move(FIRST),
    ]  # fmt: skip
    where = contest(tmp_path)
    summary, asked = chain(where, tmp_path / "out", *moves, monkeypatch=monkeypatch)
    rows = read_transitions(Folder(tmp_path / "out"))
    # Forgotten at the third, kept there, broken at the 13th, kept at the 23rd, whose row counts all since the third.
    assert [(r.path, r.n_frames, r.evaluations) for r in rows] == [("by_hand_00000", 4, 3 * 7), ("by_hand_00001", 5, 11 * 7 + 9 * 9)]
    assert [r.max_energy_kj_mol for r in rows] == pytest.approx([energy(20.0, 20.0), energy(10.0, 20.0)], abs=1e-3)
    assert {(r.stage, r.seed, r.weight, r.route) for r in rows} == {("by_hand", 5, 1.0, rows[0].route)}
    for row in rows:
        positions, _ = Folder(tmp_path / "out").frames(row.file)
        assert A.contains(positions)[0]
        assert B.contains(positions)[-1]
        told = Folder(tmp_path / "out").table(row.file.replace(".trr", ".csv"))
        assert [float(line["time_ps"]) for line in told] == pytest.approx([0.1 * k for k in range(row.n_frames)])
    table = Folder(tmp_path / "out").table("moves.csv")
    assert [int(line["move"]) for line in table] == list(range(1, 26))
    assert [int(line["n_frames"]) for line in table] == [3, 5, *[4] * 10, *[5] * 12, 3]
    assert float(table[0]["max_energy_kj_mol"]) == pytest.approx(energy(0.0, 20.0), abs=1e-3)
    assert float(table[12]["max_energy_kj_mol"]) == pytest.approx(energy(10.0, -20.0), abs=1e-3)
    assert {
        "moves": 25, "accepted": 14, "acceptance": 14 / 25, "renewals": 2, "moves_with_memory_of_the_initial_path": 3,
        "moves_per_sample": 10, "transitions": 2, "transitions_of_a_broken_molecule_left_out": 1, "integrator_steps": 7,
        "baseline_evaluations": {"by_hand": 15 * 7 + 10 * 9}, "evaluations": {"training_md": 30, "hot_md": 12, "total": 42},
        "frames_of_a_path": None, "seed": 5, "temperature_K": 300.0,
    }.items() <= summary.items()  # fmt: skip
    assert asked == [None]
    ((title, budget, advanced),) = where.progress.tasks  # type: ignore[attr-defined]
    assert (title, budget, advanced) == ("by-hand, from here", 10**6, [m.evaluations for m in moves])
    assert (tmp_path / "out/system.xml").exists()


def test_the_move_that_spends_the_budget_is_a_chains_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for budget, count in ((21, 3), (22, 4)):
        summary, asked = chain(
            contest(tmp_path, budget=budget), tmp_path / f"{budget}", *[move(FIRST)] * 9, monkeypatch=monkeypatch, fixed=True
        )
        assert (summary["moves"], summary["transitions"], summary["moves_with_memory_of_the_initial_path"]) == (count, 0, None)
        assert summary["frames_of_a_path"] == 5
        assert asked == [5]


def span(piece: Frames | None) -> list[int]:
    """The numbers that velocities hold; none where there is no piece."""
    return [] if piece is None else piece.velocities[:, 0, 0].astype(int).tolist()


def test_a_piece_runs_from_a_to_b_and_is_as_long_as_asked() -> None:
    assert span(_piece(letters("a.aab.a..b"), None, A, B)) == [-6, -5, -4], "two frames are no path; this one was turned"
    assert span(_piece(letters("aab.a.bb"), None, A, B)) == [-4, -3, -2]
    assert span(_piece(letters("a.a..b"), None, A, B)) == [2, 3, 4, 5]
    assert span(_piece(letters("ab..ab"), None, A, B)) == [-4, -3, -2, -1]
    assert span(_piece(letters("aab"), None, A, B)) == []
    assert span(_piece(letters("aa..ab.b"), 5, A, B)) == [1, 2, 3, 4, 5]
    assert span(_piece(letters("a..b"), 4, A, B)) == [0, 1, 2, 3], "all of it"
    assert span(_piece(letters("a..b"), 5, A, B)) == []
    assert span(_piece(letters("..b.a."), 3, A, B)) == [-4, -3, -2]
    assert span(_piece(letters("b..aa"), 3, A, B)) == []


def guided(where: Contest, *paths: tuple[str, str, int, Frames]) -> None:
    """Name, stage, hit."""
    rows = []
    for name, stage, hit, path in paths:
        file, highest = keep_path(where.run, where.problem, name, path)
        rows.append(Transition(name, stage, "ok", hit, highest, None, len(path), 400 + len(path), 1, None, "", file))
    write_transitions(where.run, rows)
    write_json(where.run.path / "summary.json", {"evaluations": {"preparation": 5, "training_md": 20, "windows": 100, "geodesic": 1}})


def test_a_chain_begins_from_a_guided_path_that_holds_one_at_its_own_stride(tmp_path: Path) -> None:
    where = contest(tmp_path)
    good = frames([-90.0, -80.0, -30.0, 0.0, 30.0, 50.0, 90.0], 20.0)
    never = [
        ("missed", "guided", 0, good), ("other", "unbiased", 1, good), ("between", "guided", 1, letters("a.ab.a")),
        ("broken", "guided", 1, frames([-90.0, -30.0, 0.0, 30.0, 90.0], [20.0, 20.0, -20.0, 20.0, 20.0])),
    ]  # fmt: skip
    for seed in range(6):
        guided(where, *never, ("good", "guided", 1, good))
        found = from_guided(replace(where, seed=seed), None)
        np.testing.assert_allclose(found.positions, good.positions[::2], atol=1e-6)
        assert found.told == {"from": "good", "frames": 4}
        assert found.evaluations == {"preparation": 5, "training_md": 20, "windows": 100, "geodesic": 1, "guided": 407}
    assert found.velocities.shape == (4, 5, 3)
    assert len(from_guided(replace(where, stride=25), 7).positions) == 7
    moving = replace(good, velocities=np.ones_like(good.velocities), velocity_offset=np.zeros(7))
    guided(where, ("whole", "guided", 1, moving))
    np.testing.assert_array_equal(from_guided(where, None).velocities, 1.0, err_msg="its velocities belong to its frames' times already")
    guided(where, *never)
    with pytest.raises(SpacetimeError, match="holds no guided path from A to B"):
        from_guided(where, None)
    with pytest.raises(SpacetimeError, match=r"unbiased\.stride is no multiple of guided\.stride"):
        from_guided(replace(where, stride=40), None)
