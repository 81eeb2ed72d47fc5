"""Build systems/alanine_dipeptide_surface/surface.npz: run `python workflows/build_alanine_dipeptide_surface.py`; six minutes on one core.

A relaxed scan of ff99SB-ILDN in vacuum: at each (phi, psi) of a periodic grid, the lowest energy over all other degrees of freedom. A point
is relaxed from the structure of each of its neighbours, and again whenever one of them comes down, lowest first, until nothing moves; then
every point is relaxed once more from a structure with all atoms displaced at random, and what comes down spreads again.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
from scipy.interpolate import RectBivariateSpline
from scipy.optimize import root
from scipy.spatial.transform import Rotation

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.engines.openmm.bias import CurveBias
from spacetime_tps.engines.openmm.dynamics import Dynamics, Model
from spacetime_tps.engines.openmm.minimisation import Potential, minimise
from spacetime_tps.files import write_npz
from spacetime_tps.molecules.forcefield import build_system
from spacetime_tps.molecules.reading import load_structure
from spacetime_tps.molecules.structure import atom_index

POINTS = 72
STIFFNESS = 3000.0
"""kJ/mol/rad^2 of the restraint that holds phi and psi"""
ON_POINT = 2e-5
"""Radians by which phi and psi may miss the grid point"""
TOLERANCE = 0.3
"""kJ/mol/nm left in any component of the gradient"""
LOWER = 0.01
"""kJ/mol by which a point must come down for its neighbours to be relaxed from it anew"""
SHAKE = 0.02
"""nm, standard deviation of each coordinate in a displaced structure"""
CHECKED = 40
"""Points relaxed anew under twice the stiffness, and points off the grid compared with the interpolated surface"""
SYSTEMS = Path(__file__).parent.parent / "systems"


class Held(Potential):
    """The molecule under its restraint, each call one evaluation."""

    def __init__(self, model: Model, torsions: Torsions):
        self._dynamics = Dynamics(model, CurveBias(torsions))
        self._context = self._dynamics.context
        self.evaluations = 0

    def hold(self, center: np.ndarray, stiffness: float) -> None:
        eta = stiffness / self._dynamics.model.kT * np.stack([np.cos(center), np.sin(center)], axis=-1)
        self._dynamics.set_bias(eta.ravel())


@dataclass(frozen=True)
class Relaxed:
    """A structure that is minimised but for phi and psi."""

    energy: float
    """kJ/mol, without the restraint; infinite where phi and psi could not be held"""
    positions: np.ndarray
    """(atoms, 3), nm"""
    slope: np.ndarray
    """(2,) derivatives of the energy by phi and psi, kJ/mol/rad"""


class Alanine:
    """Alanine dipeptide: its potential, with and without restraint, and what must not change in a scan of it."""

    def __init__(self) -> None:
        self.minima = {name: load_structure(SYSTEMS / "alanine_dipeptide" / f"{name}.pdb") for name in ("c5", "c7ax")}
        topology = self.minima["c5"].topology

        def torsion(labels: str) -> tuple[int, int, int, int]:
            a, b, c, d = (atom_index(topology, label) for label in labels.split())
            return a, b, c, d

        self.torsions = Torsions(("phi", "psi"), (torsion("1:C 2:N 2:CA 2:C"), torsion("2:N 2:CA 2:C 3:N")))
        self.peptides = Torsions(("first", "second"), (torsion("1:CH3 1:C 2:N 2:CA"), torsion("2:CA 2:C 3:N 3:C")))
        self.chiral = [atom_index(topology, f"2:{name}") for name in ("CA", "N", "C", "CB")]
        names = [f"{a.residue.id}:{a.name}" for a in topology.atoms()]
        after_c = [k for k, name in enumerate(names) if name == "2:O" or name.startswith("3:")]
        after_ca = [k for k, name in enumerate(names) if name in ("2:HA", "2:CB", "2:HB1", "2:HB2", "2:HB3", "2:C")] + after_c
        self.moved = (after_ca, after_c)
        xml = openmm.XmlSerializer.serialize(build_system(topology, ["amber99sbildn.xml"]))
        model = Model(xml, 300.0, 1.0, 0.001, "Reference")
        self.free, self.held = Potential(model), Held(model, self.torsions)

    @property
    def evaluations(self) -> int:
        return self.free.evaluations + self.held.evaluations

    def intact(self, x: np.ndarray) -> bool:
        """Whether CA is L and both peptide bonds are trans."""
        ca, n, c, cb = x[self.chiral]
        return bool(np.dot(np.cross(n - ca, c - ca), cb - ca) > 0) and bool((np.abs(self.peptides.values(x)) > np.pi / 2).all())

    def turned(self, x: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Positions with phi and psi turned to the target (2,) in radians, all else rigid."""
        x = x.copy()
        for (_, j, k, _), moved, change in zip(
            self.torsions.atoms, self.moved, difference(self.torsions.values(x), target, self.torsions.angular), strict=True
        ):
            axis = (x[k] - x[j]) / np.linalg.norm(x[k] - x[j])
            x[moved] = Rotation.from_rotvec(change * axis).apply(x[moved] - x[k]) + x[k]
        return x

    def relaxed(self, x: np.ndarray, target: np.ndarray, slope: np.ndarray, stiffness: float = STIFFNESS) -> Relaxed:
        """The nearest minimum with phi and psi at the target (2,) in radians, from a guess of the slope there.

        The restraint's centre is moved until the angles themselves lie on the target (method of multipliers), so that its finite stiffness
        leaves no error; it is made stiffer where the surface bends down too sharply, at a ridge between two conformers.
        """
        x = self.turned(x, target)
        for attempt in range(1, 21):
            self.held.hold(target + np.arcsin(np.clip(slope / stiffness, -0.9, 0.9)), stiffness)
            x = minimise(self.held, x, tolerance=TOLERANCE).positions
            miss = difference(target, self.torsions.values(x), self.torsions.angular)
            if np.abs(miss).max() < ON_POINT:
                return Relaxed(self.free(x)[0], x, slope)
            slope = slope - stiffness * miss
            if attempt % 4 == 0:
                stiffness *= 4
        return Relaxed(np.inf, x, slope)


class Scan:
    """The lowest structures known on the grid, and the neighbours still to be relaxed from them."""

    def __init__(self, molecule: Alanine):
        self._molecule = molecule
        self.angles = np.radians(-180 + 360 / POINTS * np.arange(POINTS))
        self.energy = np.full((POINTS, POINTS), np.inf)
        self.broken = 0
        """Structures thrown away because CA or a peptide bond had turned over"""
        self._lowest: dict[tuple[int, int], Relaxed] = {}
        self._waiting: list[tuple[float, int, int, int, int]] = []

    def start(self, x: np.ndarray) -> None:
        """Relax a structure on the grid point nearest to it."""
        i, j = np.rint((self._molecule.torsions.values(x) - self.angles[0]) / (2 * np.pi) * POINTS).astype(int).tolist()
        self._relax(i % POINTS, j % POINTS, x, np.zeros(2))

    def _relax(self, i: int, j: int, x: np.ndarray, slope: np.ndarray) -> bool:
        """Relax a structure on a point and keep it if it is the lowest there; whether the point comes down by more than LOWER."""
        found = self._molecule.relaxed(x, self.angles[[i, j]], slope)
        if not found.energy < self.energy[i, j]:
            return False
        if not self._molecule.intact(found.positions):
            self.broken += 1
            return False
        gain = self.energy[i, j] - found.energy
        self.energy[i, j], self._lowest[i, j] = found.energy, found
        if gain > LOWER:
            for k, m in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                heapq.heappush(self._waiting, (found.energy, i, j, (i + k) % POINTS, (j + m) % POINTS))
        return bool(gain > LOWER)

    def spread(self) -> None:
        """Relax each point from every neighbour, lowest first, again whenever the neighbour has come down."""
        while self._waiting:
            energy, i, j, k, m = heapq.heappop(self._waiting)
            if energy <= self.energy[i, j] + LOWER:
                self._relax(k, m, self._lowest[i, j].positions, self._lowest[i, j].slope)

    def shake(self, rng: np.random.Generator) -> int:
        """Relax every point once from its structure with all atoms displaced at random; the number of points that come down."""
        lower = 0
        for i, j in np.ndindex(POINTS, POINTS):
            here = self._lowest[i, j]
            lower += self._relax(i, j, here.positions + rng.normal(scale=SHAKE, size=here.positions.shape), here.slope)
        return lower

    def stiffness_error(self, rng: np.random.Generator) -> float:
        """Largest change in kJ/mol when points chosen at random are relaxed anew under twice the stiffness."""
        changes = []
        for i, j in rng.integers(POINTS, size=(CHECKED, 2)):
            again = self._molecule.relaxed(self._lowest[i, j].positions, self.angles[[i, j]], np.zeros(2), 2 * STIFFNESS)
            changes.append(abs(again.energy - self.energy[i, j]))
        return max(changes)

    def interpolation_errors(self, rng: np.random.Generator) -> np.ndarray:
        """(CHECKED,) kJ/mol by which the interpolated surface misses points relaxed off the grid, where it is below 60 kJ/mol."""
        surface, errors = interpolated(self.energy), []
        while len(errors) < CHECKED:
            target = rng.uniform(-np.pi, np.pi, size=2)
            i, j = np.rint((target - self.angles[0]) / (2 * np.pi) * POINTS).astype(int) % POINTS
            if self.energy[i, j] - self.energy.min() < 60:
                exact = self._molecule.relaxed(self._lowest[i, j].positions, target, self._lowest[i, j].slope)
                errors.append(surface(*target, grid=False) - exact.energy)
        return np.abs(errors)


def interpolated(energy: np.ndarray) -> RectBivariateSpline:
    """The periodic bicubic spline through a grid (POINTS, POINTS), as a function of phi and psi in radians from -pi to pi."""
    wide = np.arange(-8, POINTS + 8)
    angles = -np.pi + 2 * np.pi / POINTS * wide
    return RectBivariateSpline(angles, angles, energy[np.ix_(wide % POINTS, wide % POINTS)])


def stationary(surface: RectBivariateSpline) -> Iterator[tuple[str, np.ndarray, float]]:
    """Minima and saddles, lowest first: kind, (phi, psi) in degrees, energy in kJ/mol."""

    def gradient(x: np.ndarray) -> list[float]:
        return [float(surface(*x, dx=1, grid=False)), float(surface(*x, dy=1, grid=False))]

    found: dict[tuple[int, int], tuple[str, np.ndarray, float]] = {}
    for start in np.ndindex(36, 36):
        solution = root(gradient, np.radians(-175 + 10 * np.array(start)))
        if solution.success and np.abs(solution.x).max() <= np.pi:
            xx, xy, yy = (float(surface(*solution.x, dx=a, dy=b, grid=False)) for a, b in ((2, 0), (1, 1), (0, 2)))
            kind = "saddle" if xx * yy < xy**2 else "minimum" if xx > 0 else "maximum"
            degrees = np.degrees(solution.x)
            found[tuple(np.rint(degrees).astype(int).tolist())] = (kind, degrees, float(surface(*solution.x, grid=False)))
    yield from sorted((f for f in found.values() if f[0] != "maximum"), key=lambda f: f[2])


def highest_on_lowest_path(surface: RectBivariateSpline, start: tuple[float, float], end: tuple[float, float]) -> tuple[float, np.ndarray]:
    """Height in kJ/mol and place (degrees) of the highest point on the path between two points (degrees) that keeps it lowest."""
    fine = 2 * POINTS * 5
    angles = np.linspace(-np.pi, np.pi, fine, endpoint=False)
    energy = surface(angles, angles)
    first, last = (tuple(np.rint((np.array(p) + 180) / 360 * fine).astype(int) % fine) for p in (start, end))
    waiting, seen = [(float(energy[first]), first, first)], {first}
    while waiting:
        height, top, (i, j) = heapq.heappop(waiting)
        if (i, j) == last:
            return height, np.degrees(angles[list(top)])
        for k, m in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)):
            near = ((i + k) % fine, (j + m) % fine)
            if near not in seen:
                seen.add(near)
                heapq.heappush(waiting, (float(energy[near]), near, near) if energy[near] > height else (height, top, near))
    raise AssertionError("the grid is connected")


def main() -> None:
    molecule, rng = Alanine(), np.random.default_rng(0)
    scan = Scan(molecule)
    for structure in molecule.minima.values():
        scan.start(structure.positions)
    scan.spread()
    print(f"spread: {molecule.evaluations:,} evaluations", flush=True)
    while lower := scan.shake(rng):
        print(f"shaken: {lower} points came down", flush=True)
        scan.spread()
    evaluations = molecule.evaluations
    energy = scan.energy - scan.energy.min()
    angles = np.append(scan.angles, np.pi)
    arrays = {"phi": angles, "psi": angles, "energy": np.pad(energy, (0, 1), mode="wrap"), "evaluations": np.array(evaluations)}
    write_npz(SYSTEMS / "alanine_dipeptide_surface" / "surface.npz", arrays)

    print(f"done: {evaluations:,} evaluations, {scan.broken} structures thrown away; checks:", flush=True)
    print(f"twice the stiffness changes {CHECKED} points by at most {scan.stiffness_error(rng):.1e} kJ/mol")
    errors = scan.interpolation_errors(rng)
    print(f"interpolation misses {CHECKED} points below 60 kJ/mol by {np.median(errors):.1e} (median), {errors.max():.1e} at most")
    print(f"lowest {scan.energy.min():.4f}, highest {scan.energy.max():.4f} kJ/mol")
    surface = interpolated(energy)
    for kind, place, height in stationary(surface):
        print(f"{kind} ({place[0]:.1f}, {place[1]:.1f}) {height:.3f}")
    for end in ((-78, 54), (60, -41)):
        height, place = highest_on_lowest_path(surface, (-147, 159), end)
        print(f"lowest path from C5 to {end}: over {height:.3f} at ({place[0]:.1f}, {place[1]:.1f})")


if __name__ == "__main__":
    main()
