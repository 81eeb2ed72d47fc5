"""A run's coordinates, states and path as input for PLUMED 2.5 or newer, in PLUMED's units: nm, radians, ps, kJ/mol."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np

from spacetime_tps.coordinates.boxes import one_way
from spacetime_tps.coordinates.circle import difference, width
from spacetime_tps.coordinates.naming import unread
from spacetime_tps.coordinates.superposition import rmsd
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_text
from spacetime_tps.methods.guided import Guided
from spacetime_tps.molecules.structure import is_hydrogen
from spacetime_tps.report.data import RunData
from spacetime_tps.results.molecule import Molecule
from spacetime_tps.results.results import Results

MILESTONES = 16
OPEN = 1e6
"""No limit"""
TURN = 3.1416
"""Just beyond pi"""


@dataclass
class Input:
    """plumed.dat as it grows, and the files beside it."""

    molecule: Molecule
    run: RunData
    lines: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    """Of what is defined so far, by its line without the label"""

    def label(self, name: str) -> str:
        """A name that PLUMED takes, and that is not in use."""
        plain = re.sub(r"\W", "_", name)
        taken = {line.partition(":")[0] for line in self.lines}
        return next(n for n in (plain, *(f"{plain}_{k}" for k in range(1, len(taken) + 2))) if n not in taken)

    def define(self, name: str, action: str) -> str:
        """The label of a variable, which is defined once."""
        if action not in self.labels:
            self.labels[action] = self.label(name)
            self.lines.append(f"{self.labels[action]}: {action}")
        return self.labels[action]

    def structure(self, name: str, frames: Sequence[np.ndarray], atoms: Sequence[int]) -> str:
        """A PDB file of some atoms in frames (atoms of the molecule, 3), nm, with both columns of weights one; its name."""
        content = "".join(_pdb(self.molecule.topology, x, atoms) for x in frames)
        names = (f"{name}{'' if k == 1 else f'_{k}'}.pdb" for k in range(1, len(self.files) + 2))
        file = next(n for n in names if self.files.get(n, content) == content)
        self.files[file] = content
        return file


def write(folder: Path, out: Path) -> list[Path]:
    """OUT/plumed.dat and the structures that it names. Raises SpacetimeError where the folder holds no finished run."""
    results = Results(run := RunData.of(folder))
    sheet = Input(Molecule(run), run, [
        f"# {results.summary['system']}: coordinates, states and path of a run of spacetime_tps, for PLUMED 2.5 or newer.",
        "# Units are PLUMED's own: nm, radians, ps. Atoms are counted from one.",
        "",
    ])  # fmt: skip
    printed: list[str] = []
    for block in results.coordinates.to_json():
        if block["kind"] in COORDINATES:
            printed += COORDINATES[block["kind"]](sheet, block)
        else:
            sheet.lines.append(f"# {block['kind']}: PLUMED has no such coordinates")
    _states(sheet, results)
    printed += _path(sheet, results)
    told = f"PRINT ARG={','.join(printed)} STRIDE={_stride(results)} FILE=COLVAR"
    sheet.lines += ["", told if printed else "# No PRINT: PLUMED has words for none of the coordinates, nor for the path."]
    files = {"plumed.dat": "\n".join(sheet.lines) + "\n", **sheet.files}
    for name, content in files.items():
        write_text(out / name, content)
    return [out / name for name in files]


def _torsions(sheet: Input, block: Mapping[str, Any]) -> list[str]:
    return [sheet.define(name, _torsion(atoms)) for name, atoms in zip(block["names"], block["atoms"], strict=True)]


def _distances(sheet: Input, block: Mapping[str, Any]) -> list[str]:
    return [sheet.define(name, _distance(atoms)) for name, atoms in zip(block["names"], block["atoms"], strict=True)]


def _positions(sheet: Input, block: Mapping[str, Any]) -> list[str]:
    """Displacements from the reference after superposition, nm."""
    atoms, reference = block["atoms"], np.array(block["reference_nm"])
    whole = np.zeros((sheet.molecule.topology.n_atoms, 3))
    whole[atoms] = reference
    sheet.lines.append(f"FIT_TO_TEMPLATE REFERENCE={sheet.structure('reference', [whole], atoms)} TYPE=OPTIMAL")
    found = []
    for name, atom, place in zip(block["labels"], atoms, reference, strict=True):
        label = sheet.define(f"at_{name}", f"POSITION ATOM={atom + 1}")
        for axis, zero in zip("xyz", place, strict=True):
            found.append(sheet.define(f"{name}_{axis}", f"COMBINE ARG={label}.{axis} PARAMETERS={zero:.6f} PERIODIC=NO"))
    return found


COORDINATES: Mapping[str, Callable[[Input, Mapping[str, Any]], list[str]]] = {
    "torsions": _torsions, "distances": _distances, "positions": _positions,
}  # fmt: skip
"""How each kind of coordinates is written. A new kind is added here."""


def _states(sheet: Input, results: Results) -> None:
    """A COMMITTOR that stops in a state. Ranges across 180 degrees become two, and every box as many basins as its ranges have parts."""
    boxes = [(state, _limits(sheet, box)) for state in "AB" for box in sheet.run.states[state]]
    names = list(dict.fromkeys(label for _, limits in boxes for label in limits))
    torsions = {label for action, label in sheet.labels.items() if action.startswith("TORSION")}
    basins: list[tuple[str, list[tuple[float, float]]]] = []
    for state, limits in boxes:
        parts: list[list[tuple[float, float]]] = [[]]
        for name in names:
            anywhere = [(-TURN, TURN)] if name in torsions else [(-OPEN, OPEN)]
            parts = [[*before, piece] for before in parts for piece in limits.get(name, anywhere)]
        basins += [(state, part) for part in parts]
    told = ", ".join(f"{k} is {state}" for k, (state, _) in enumerate(basins, 1))
    sheet.lines += ["", f"# The states: a simulation stops in one. Basin {told}.", "COMMITTOR ..."]
    sheet.lines += [f"  ARG={','.join(names)}", f"  STRIDE={_stride(results)}"]
    for k, (_, part) in enumerate(basins, 1):
        for which, side in enumerate(("LL", "UL")):
            sheet.lines.append(f"  BASIN_{side}{k}={','.join(f'{limits[which]:.8g}' for limits in part)}")
    sheet.lines.append("... COMMITTOR")


def _limits(sheet: Input, box: Mapping[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """The ranges of a box of states.json, in radians and nm, by label."""
    unknown = set(box) - {"torsions", "distances", "rmsd"}
    if unknown:
        raise SpacetimeError(f"a state is bounded by {sorted(unknown)[0]!r}, which plumed.dat has no words for")
    found: dict[str, list[tuple[float, float]]] = {}
    for *atoms, low, high in box.get("torsions", ()):
        found[sheet.define(f"t_{_numbers(atoms)}", _torsion(atoms))] = _arc(low, high)
    for *atoms, low, high in box.get("distances", ()):
        found[sheet.define(f"d_{_numbers(atoms)}", _distance(atoms))] = [(low if low > 0.0 else -OPEN, high)]
    if "rmsd" in box:
        entry = box["rmsd"]
        name = f"rmsd_{Path(entry['file']).stem}"
        file = sheet.structure(name, [sheet.run.structure(entry["file"]).positions], entry["atoms"])
        label = sheet.define(name, f"RMSD REFERENCE={file} TYPE=OPTIMAL")
        found[label] = [(entry.get("min_nm", -OPEN), entry.get("max_nm", OPEN))]
    return found


def _arc(low: float, high: float) -> list[tuple[float, float]]:
    """A range of a torsion, degrees, as pieces of (-pi, pi), radians."""
    if width(low, high) == 360.0:
        return [(-TURN, TURN)]
    first, last = (float((np.radians(x) + np.pi) % (2.0 * np.pi) - np.pi) for x in (low, high))
    pieces = [(first, last)] if first < last else [(first, TURN), (-TURN, last)]
    return [(-TURN if a == -np.pi else a, b) for a, b in pieces if b > -np.pi]


def _path(sheet: Input, results: Results) -> list[str]:
    """PATHMSD along frames near the points of the best curve; what it gives, or nothing where it cannot be said."""
    atoms, frames = milestones(results, sheet.molecule)
    sheet.lines.append("")
    if len(atoms) < 3 or len(frames) < 3:
        sheet.lines.append("# No PATHMSD: fewer than three atoms, or frames, tell the path apart after superposition.")
        return []
    file = sheet.structure("path", list(frames), atoms)
    apart = [rmsd(a[atoms], b[atoms]) ** 2 for a, b in zip(frames[:-1].astype(float), frames[1:].astype(float), strict=True)]
    label = sheet.label("path")
    sheet.lines += [
        f"# s from 1 to {len(frames)} along frames near the best curve, {results.curve.name}.",
        "# LAMBDA is 2.3 over the mean square distance of neighbouring frames.",
        f"{label}: PATHMSD REFERENCE={file} LAMBDA={2.3 / float(np.mean(apart)):.4g}",
    ]
    return [f"{label}.sss", f"{label}.zzz"]


def milestones(results: Results, molecule: Molecule) -> tuple[list[int], np.ndarray]:
    """Atoms that a path is told by, and frames (K, atoms of the molecule, 3), nm, in the order of the curve.

    Frames are those nearest to points of the curve, of the first guided path that connects, or of the weighted frames where there is none.
    Atoms are all but hydrogen, or in a periodic system those of the coordinates.
    """
    guided = results.paths.select(stage=Guided.name, hit=True)
    positions = guided[0].positions if len(guided) else results.samples.positions
    coordinates = results.coordinates
    values, center = coordinates.values(positions), unread(coordinates, results.curve.center)
    nodes = center[np.linspace(0, len(center) - 1, MILESTONES).round().astype(int)]
    nearest = [int((difference(values, node, coordinates.angular) ** 2).sum(-1).argmin()) for node in nodes]
    order = sorted(set(nearest)) if len(guided) else list(dict.fromkeys(nearest))
    if molecule.cell is not None:
        atoms = sorted({atom for term in coordinates.terms for atom in term.atoms})
    else:
        atoms = [a.index for a in molecule.topology.atoms if not is_hydrogen(a)]
    return atoms, positions[order]


def _stride(results: Results) -> int:
    return results.settings.unbiased.stride


def _torsion(atoms: Sequence[int]) -> str:
    return f"TORSION ATOMS={_numbers(one_way(atoms))}"


def _distance(atoms: Sequence[int]) -> str:
    return f"DISTANCE ATOMS={_numbers(one_way(atoms))}"


def _numbers(atoms: Sequence[int]) -> str:
    return ",".join(str(a + 1) for a in atoms)


def _pdb(topology: mdtraj.Topology, positions: np.ndarray, atoms: Sequence[int]) -> str:
    """One frame of some atoms under their own numbers; Å."""
    lines = []
    for index in atoms:
        atom = topology.atom(index)
        name = atom.name if len(atom.name) > 3 else f" {atom.name:<3}"
        place = "".join(f"{10.0 * x:8.3f}" for x in positions[index])
        lines.append(f"ATOM  {index + 1:5d} {name:<4} {atom.residue.name:>3.3} A{atom.residue.resSeq % 10000:4d}    {place}  1.00  1.00\n")
    return "".join(lines) + "END\n"
