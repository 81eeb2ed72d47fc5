"""Molecules made by hand: their torsions, rings, changed distances, centres and files; trajectories as files."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import pytest
from MDAnalysis.lib.formats.libmdaxdr import TRRFile
from openmm import app

from spacetime_tps.coordinates.distances import Distances
from spacetime_tps.coordinates.molecule import Molecule
from spacetime_tps.coordinates.torsions import Torsions, ring_torsions, rotatable_torsions
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.engines.openmm.minimisation import Potential, minimise
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.molecules.forcefield import build_system
from spacetime_tps.molecules.integrity import Integrity, other_hand
from spacetime_tps.molecules.order import brought
from spacetime_tps.molecules.prepared import read_prepared
from spacetime_tps.molecules.reading import load_structure
from spacetime_tps.molecules.structure import Structure, atom_index, write_pdb
from spacetime_tps.trajectories.frames import Frames
from spacetime_tps.trajectories.trr import read_trr, write_trr


def topology(symbols: str, bonds: list[tuple[int, int]], *, name: str = "MOL", number: str = "7") -> app.Topology:
    """One residue; atom k is called by its symbol and k."""
    found = app.Topology()
    residue = found.addResidue(name, found.addChain(), number)
    atoms = [found.addAtom(f"{s}{k}", app.Element.getBySymbol(s), residue) for k, s in enumerate(symbols)]
    for i, j in bonds:
        found.addBond(atoms[i], atoms[j])
    return found


def still(made: app.Topology) -> Molecule:
    x = np.zeros((made.getNumAtoms(), 3))
    return molecule_of(Structure(made, x), Structure(made, x), None)


def changed_torsions(start: Structure, end: Structure) -> Torsions:
    return Torsions.of_molecule(None, molecule_of(start, end, None))


def changed_distances(start: Structure, end: Structure) -> Distances:
    return Distances.of_molecule(None, molecule_of(start, end, None))


def posed(angle: float) -> np.ndarray:
    """Four atoms with a torsion of so many degrees."""
    t = math.radians(angle)
    return np.array([[0.0, 0.15, 0.0], [0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.15, 0.15 * math.cos(t), 0.15 * math.sin(t)]])


def test_torsions_go_along_the_longest_branches() -> None:
    # 0 - 1 - 2 - 3 - 4 with a methyl 5 on 1 and a chain 6 - 7 on 3; hydrogens 8 and 9 count for nothing.
    tree = still(topology("CCCCCCCCHH", [(1, 0), (1, 2), (2, 3), (3, 4), (1, 5), (3, 6), (6, 7), (0, 8), (4, 9)]))
    found = rotatable_torsions(tree)
    assert found.names == ("MOL7_C1_C2", "MOL7_C2_C3", "MOL7_C3_C6")
    assert found.atoms == ((0, 1, 2, 3), (1, 2, 3, 6), (2, 3, 6, 7))
    assert found.closed == ()
    assert tree.chosen(None) == tuple(range(8))
    assert tree.chosen(["7:C3", "7:H8"]) == (3, 8)
    assert tree.atoms[3].tag == "7.C3"
    assert ring_torsions(tree).atoms == ()


def test_torsions_of_rings_go_the_shortest_way_back() -> None:
    # A ring of five with one of four beside it on the bond 0 - 1, and a tail on 3; the bond that both share goes by the smaller one.
    both = still(topology("CCCCCCCC", [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (1, 5), (5, 6), (6, 0), (3, 7)]))
    found = ring_torsions(both)
    assert dict(zip(found.names, found.atoms, strict=True)) == {
        "MOL7_C0_C1": (6, 0, 1, 5), "MOL7_C0_C4": (1, 0, 4, 3), "MOL7_C0_C6": (1, 0, 6, 5), "MOL7_C1_C2": (0, 1, 2, 3),
        "MOL7_C1_C5": (0, 1, 5, 6), "MOL7_C2_C3": (1, 2, 3, 4), "MOL7_C3_C4": (2, 3, 4, 0), "MOL7_C5_C6": (1, 5, 6, 0),
    }  # fmt: skip
    assert found.closed == (True,) * 8
    assert rotatable_torsions(both).atoms == ()
    assert ring_torsions(still(topology("CCC", [(0, 1), (1, 2), (2, 0)]))).atoms == ()


def test_what_changes_between_two_structures() -> None:
    chain = topology("CCCC", [(0, 1), (1, 2), (2, 3)])
    start = Structure(chain, posed(170.0))
    found = changed_torsions(start, Structure(chain, posed(-159.0)))
    assert (found.names, found.atoms, found.closed) == (("MOL7_C1_C2",), ((0, 1, 2, 3),), ())
    with pytest.raises(SpacetimeError, match="no torsion differs by more than 30"):
        changed_torsions(start, Structure(chain, posed(-161.0)))
    ring = topology("CCCC", [(0, 1), (1, 2), (2, 3), (3, 0)])
    found = changed_torsions(Structure(ring, posed(0.0)), Structure(ring, posed(40.0)))
    assert found.atoms[0] == (3, 0, 1, 2)
    assert found.closed == (True,) * len(found.atoms)
    longer = posed(170.0)
    longer[0, 1] += 0.051
    distances = changed_distances(start, Structure(chain, longer))
    assert (distances.names, distances.atoms) == (("d_7.C0_7.C1",), ((0, 1),))
    longer[0, 1] -= 0.002
    with pytest.raises(SpacetimeError, match="no bonded distance differs"):
        changed_distances(start, Structure(chain, longer))
    with pytest.raises(SpacetimeError, match="no bonded distance differs"):
        changed_distances(Structure(topology("CC", []), longer), Structure(topology("CC", []), longer))


def test_centres_with_three_heavy_neighbours_have_a_hand() -> None:
    # CHFClBr; with a second hydrogen there is no centre, and a flat nitrogen is none.
    bonds = [(0, 1), (0, 2), (0, 3), (0, 4)]
    x = 0.1 * np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    four = app.Topology()
    residue = four.addResidue("X", four.addChain())
    atoms = [four.addAtom(s, app.Element.getBySymbol(s), residue) for s in ("C", "H", "F", "Cl", "Br")]
    for i, j in bonds:
        four.addBond(atoms[i], atoms[j])
    whole = Integrity.of(Structure(four, x))
    assert whole.centres.tolist() == [[0, 2, 3, 4]]
    a, b, c = x[2:]
    assert whole.hand.tolist() == [np.sign(np.linalg.det([a, b, c]))]
    swapped = x[[0, 1, 3, 2, 4]]
    assert whole.holds(np.array([x, swapped, x + 0.3, -x])).tolist() == [True, False, True, False]
    assert len(Integrity.of(Structure(topology("CHHFF", bonds), x)).centres) == 0
    assert len(Integrity.of(Structure(topology("NHFFF", bonds), x)).centres) == 0
    assert len(Integrity.of(Structure(topology("CFFF", bonds[:3]), x[:4])).centres) == 0


def test_a_centre_of_another_hand_is_named_and_one_with_neighbours_alike_is_none() -> None:
    x = 0.1 * np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    for last, told in (("Br", "X 1 C"), ("F", None)):
        four = app.Topology()
        residue = four.addResidue("X", four.addChain())
        atoms = [four.addAtom(s, app.Element.getBySymbol(s), residue) for s in ("C", "H", "F", "Cl", last)]
        for other in atoms[1:]:
            four.addBond(atoms[0], other)
        assert other_hand(Structure(four, x), Structure(four, x[[0, 1, 3, 2, 4]])) == told
        assert other_hand(Structure(four, x), Structure(four, x + 0.2)) is None


def test_structures_come_back_from_their_files(tmp_path: Path) -> None:
    chain = topology("CCOH", [(0, 1), (1, 2), (2, 3)])
    chain.setPeriodicBoxVectors(np.array([[2.0, 0.0, 0.0], [0.5, 3.0, 0.0], [0.25, 0.75, 4.0]]))
    x = posed(60.0)
    write_pdb(tmp_path / "a.pdb", Structure(chain, x))
    back = load_structure(tmp_path / "a.pdb")
    np.testing.assert_allclose(back.positions, x, atol=5e-5)
    box = back.topology.getPeriodicBoxVectors()._value
    np.testing.assert_allclose(np.array(box), [[2.0, 0.0, 0.0], [0.5, 3.0, 0.0], [0.25, 0.75, 4.0]], atol=2e-3)
    assert sorted((a.index, b.index) for a, b in back.topology.bonds()) == [(0, 1), (1, 2), (2, 3)]
    assert atom_index(back.topology, "7:O2") == 2
    with pytest.raises(SpacetimeError, match="no atom '7:N2'"):
        atom_index(back.topology, "7:N2")
    # The same atoms in another order.
    other = app.Topology()
    residue = other.addResidue("MOL", other.addChain(), "7")
    for name in ("O2", "C0", "H3", "C1"):
        other.addAtom(name, app.Element.getBySymbol(name[0]), residue)
    names: dict[str, Any] = {"start_name": "start.pdb", "end_name": "end.pdb", "keep_names": True}
    turned = brought(Structure(chain, x), Structure(other, x[[2, 0, 3, 1]]), **names).structure
    np.testing.assert_array_equal(turned.positions, x)
    assert turned.topology is chain
    other.addAtom("C9", app.Element.getBySymbol("C"), residue)
    with pytest.raises(SpacetimeError, match=r"start.pdb has 4 atoms and end.pdb 5: residue 7 MOL lacks C9 in start.pdb"):
        brought(Structure(chain, x), Structure(other, np.zeros((5, 3))), **names)


def test_systems_fit_their_structures(tmp_path: Path) -> None:
    system = openmm.System()
    for _ in range(4):
        system.addParticle(1.0)
    path = tmp_path / "s.xml"
    path.write_text(openmm.XmlSerializer.serialize(system))
    chain = topology("CCCC", [])
    assert read_prepared(path).of(Structure(chain, posed(0.0))).getNumParticles() == 4
    with pytest.raises(SpacetimeError, match="has 4 particles, and the structure 3 atoms"):
        read_prepared(path).of(Structure(chain, posed(0.0)[:3]))
    path.write_text(openmm.XmlSerializer.serialize(openmm.VerletIntegrator(0.001)))
    with pytest.raises(SpacetimeError, match="holds a VerletIntegrator, not a System"):
        read_prepared(path).of(Structure(chain, posed(0.0)))
    with pytest.raises(SpacetimeError, match=r"ff14SD.xml'; did you mean 'amber14/protein.ff14SB.xml'"):
        build_system(chain, ["amber14/protein.ff14SD.xml"])


def test_minima_are_counted_and_have_no_force() -> None:
    # One bond of 0.12 nm: U = 500 (r - 0.12)^2, dU/dr = 1000 (r - 0.12).
    system, bond = openmm.System(), openmm.HarmonicBondForce()
    for _ in range(2):
        system.addParticle(12.0)
    bond.addBond(0, 1, 0.12, 1000.0)
    system.addForce(bond)
    potential = Potential(Model(openmm.XmlSerializer.serialize(system), 300.0, 1.0, 0.001, "Reference"))
    energy, gradient = potential(np.array([[0.0, 0.0, 0.0], [0.2, 0.0, 0.0]]))
    assert energy == pytest.approx(3.2)
    np.testing.assert_allclose(gradient, [[-80.0, 0.0, 0.0], [80.0, 0.0, 0.0]], atol=1e-9)
    assert potential.evaluations == 1
    found = minimise(potential, np.array([[0.0, 0.0, 0.0], [0.2, 0.1, 0.0]]), tolerance=1e-3)
    assert np.linalg.norm(found.positions[1] - found.positions[0]) == pytest.approx(0.12, abs=1e-6)
    assert found.energy == pytest.approx(0.0, abs=1e-8)
    assert found.evaluations == potential.evaluations - 1 > 0


@pytest.mark.parametrize("cell", [None, ((2.0, 0.0, 0.0), (0.5, 3.0, 0.0), (0.25, 0.75, 4.0))])
def test_trajectories_come_back_from_trr_files(tmp_path: Path, cell: tuple | None) -> None:
    rng = np.random.default_rng(1)
    x, v = (rng.normal(size=(5, 4, 3)).astype(np.float32) for _ in range(2))
    time = np.array([0.0, 0.05, 0.1, 0.15, 0.2])
    write_trr(tmp_path / "p.trr", Frames(x, v, time, time, np.zeros(5, dtype=int), 7, True), timestep=0.002, cell=cell)
    positions, velocities, times = read_trr(tmp_path / "p.trr")
    np.testing.assert_array_equal(positions, x)
    np.testing.assert_array_equal(velocities, v)
    np.testing.assert_allclose(times, time, atol=1e-6)
    with TRRFile(str(tmp_path / "p.trr")) as file:
        frames = list(file)
    assert [frame.step for frame in frames] == [0, 25, 50, 75, 100]
    np.testing.assert_allclose(frames[2].box, np.zeros((3, 3)) if cell is None else np.array(cell))
    assert [p.name for p in tmp_path.iterdir()] == ["p.trr"]
