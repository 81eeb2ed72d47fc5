"""Damaged input: python workflows/fuzz.py --count 10000 --seed 1. Exit code 1 where any of it is met by anything but a SpacetimeError.

PDB and mmCIF files, system.yaml, serialised Systems, --avoid regions, --coordinates and --set words of the bundled systems, files of Amber,
GROMACS and CHARMM: a few bytes of each changed, and read as a run reads them.
"""

import argparse
import io
import random
import runpy
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import openmmtools
from openmm import app

from spacetime_tps.coordinates.registry import kind_of
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.regions import parse_regions
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.molecules.ends import two_ends
from spacetime_tps.molecules.forcefield import deserialised
from spacetime_tps.molecules.integrity import other_hand
from spacetime_tps.molecules.prepared import files_of, read_prepared
from spacetime_tps.molecules.reading import load_structure, structure_of
from spacetime_tps.molecules.snapshots import snapshot_of
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.problems.system import bundled_systems, chosen_coordinates, load_system
from spacetime_tps.settings import parse_settings

SYSTEMS = bundled_systems()
ALANINE, RING = SYSTEMS["alanine_dipeptide"], SYSTEMS["cyclohexane"]
FIELD = ("amber99sbildn.xml",)
FOUR = runpy.run_path(str(Path(__file__).parent.parent / "tests" / "four_carbons.py"))
PRMTOP = Path(openmmtools.__file__).parent / "data" / "alanine-dipeptide-gbsa" / "alanine-dipeptide.prmtop"
WORDS = [
    b"nan",
    b"inf",
    b"-1",
    b"1e999",
    b"\x00",
    b"\xff",
    b"ATOM",
    b"[",
    b"{",
    b"*a",
    b"&a",
    b"<",
    b"null",
    b"true",
    b"9" * 30,
    b"../",
    b"\n",
    b":",
    b" ",
]


def changed(content: bytes, rng: random.Random) -> bytes:
    """One to four changes: bytes replaced, left out, put in, doubled, or all after a place cut off."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content) + 1)
        length = rng.choice([1, 1, 2, 8, 24, 80])
        kind = rng.randrange(5)
        if kind == 0:
            content = content[:at] + bytes(rng.randrange(256) for _ in range(length)) + content[at + length :]
        elif kind == 1:
            content = content[:at] + content[at + length :]
        elif kind == 2:
            content = content[:at] + rng.choice(WORDS) + content[at:]
        elif kind == 3:
            content = content[:at] + content[at : at + length] * 3 + content[at + length :]
        elif rng.random() < 0.2:
            content = content[:at]
    return content


def structure(content: bytes, folder: Path) -> None:
    """As the start and the end of a run."""
    (folder / "x.pdb").write_bytes(content)
    whole = ALANINE / "c5.pdb"
    found = two_ends(whole, folder / "x.pdb", FIELD, keep_names=False)
    two_ends(folder / "x.pdb", whole, FIELD, keep_names=False)
    other_hand(found.start, found.end)
    molecule_of(found.start, found.end, None)


def as_cif(path: Path) -> bytes:
    """A PDB file's structure as mmCIF."""
    read, text = load_structure(path), io.StringIO()
    app.PDBxFile.writeFile(read.topology, read.quantity, text, keepIds=True)
    return text.getvalue().encode()


def system_yaml(content: bytes, folder: Path) -> None:
    """As the system of a run."""
    for name in ("c5.pdb", "c7ax.pdb"):
        (folder / name).write_bytes((ALANINE / name).read_bytes())
    (folder / "system.yaml").write_bytes(content)
    load_system(str(folder)).fingerprint()


def system_xml(content: bytes, folder: Path) -> None:
    """As the system.xml of a run folder."""
    deserialised(content.decode(errors="replace"), "system.xml")


def prepared(name: str, *parameters: str) -> Callable[[bytes, Path], None]:
    """As a system of another program under this name, the files that belong to it beside it."""

    def read(content: bytes, folder: Path) -> None:
        FOUR["write"](folder)
        (folder / name).write_bytes(content)
        system = folder / (name if not name.endswith((".itp", ".prm")) else "chain.top" if name.endswith(".itp") else "chain.psf")
        read_prepared(system, [folder / parameter for parameter in parameters])
        files_of(system, [folder / parameter for parameter in parameters])

    return read


def snapshot(suffix: str) -> Callable[[bytes, Path], None]:
    """As positions of the four carbons."""
    chain = load_structure_of(FOUR["pdb"](FOUR["placed"](62.0)))

    def read(content: bytes, folder: Path) -> None:
        snapshot_of(content, f"x.{suffix}", chain.topology, "chain.top")

    return read


def load_structure_of(text: str) -> Structure:
    """What a PDB file with this text holds."""
    return structure_of(text.encode(), "x.pdb").structure


def coordinates(content: bytes, folder: Path) -> None:
    """As a word after --coordinates."""
    start, end = (load_structure(ALANINE / f"{name}.pdb") for name in ("c5", "c7ax"))
    for kind, selection in chosen_coordinates([content.decode(errors="replace")]).items():
        if kind != "coordinates":
            kind_of(kind).of_molecule(selection, molecule_of(start, end, None))


KINDS: dict[str, tuple[bytes, Callable[[bytes, Path], None]]] = {
    "pdb": ((ALANINE / "c7ax.pdb").read_bytes(), structure),
    "cif": (as_cif(ALANINE / "c7ax.pdb"), structure),
    "yaml": ((ALANINE / "system.yaml").read_bytes(), system_yaml),
    "xml": ((RING / "system.xml").read_bytes(), system_xml),
    "prmtop": (PRMTOP.read_bytes(), prepared("x.prmtop")),
    "top": (FOUR["TOP"].encode(), prepared("chain.top")),
    "itp": (FOUR["ITP"].encode(), prepared("chain.itp")),
    "psf": (FOUR["PSF"].encode(), prepared("chain.psf", "chain.prm")),
    "prm": (FOUR["PRM"].encode(), prepared("chain.prm", "chain.prm")),
    "rst7": (FOUR["inpcrd"](FOUR["placed"](62.0)).encode(), snapshot("rst7")),
    "gro": (FOUR["gro"](FOUR["placed"](62.0)).encode(), snapshot("gro")),
    "crd": (FOUR["crd"](FOUR["placed"](62.0)).encode(), snapshot("crd")),
    "coordinates": (b"positions: name N CA CB and resid 2", coordinates),
    "avoid": (b"phi=-20:20 psi=30:60", lambda content, _: parse_regions([content.decode(errors="replace")]) and None),
    "set": (b"windows.count=32", lambda content, _: parse_settings([content.decode(errors="replace")]) and None),
}


def fuzz(count: int, seed: int) -> list[str]:
    """What was met by anything but a SpacetimeError, one line each."""
    rng, met, said = random.Random(seed), [], Counter[str]()
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k in range(count):
            name = list(KINDS)[k % len(KINDS)]
            whole, read = KINDS[name]
            content = changed(whole, rng)
            try:
                read(content, Path(scratch))
                said[f"{name}: taken"] += 1
            except SpacetimeError:
                said[f"{name}: a sentence"] += 1
            except Exception as problem:
                met.append(f"{name}, number {k}: {problem!r}")
    print(", ".join(f"{what} {times}" for what, times in sorted(said.items())))
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    met = fuzz(args.count, args.seed)
    print("\n".join(met) or f"no traceback in {args.count}, seed {args.seed}")
    sys.exit(bool(met))


if __name__ == "__main__":
    main()
