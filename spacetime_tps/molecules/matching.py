"""Which atom of one structure is which of another: residue by residue, by name, or else by elements and bonds."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TypeAlias

import networkx as nx
import numpy as np
from networkx.algorithms.isomorphism import GraphMatcher
from openmm import app

from spacetime_tps.coordinates.superposition import rmsd
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.molecules.bonds import all_bonds
from spacetime_tps.molecules.integrity import kinds_of
from spacetime_tps.molecules.residues import listed, paired, residue_name
from spacetime_tps.molecules.structure import Structure, is_hydrogen

MOST = 500
"""Ways to lay one residue's bonds upon another's that are compared"""
LARGEST = 500
"""Atoms but hydrogen of a molecule that is matched as a whole, at most"""
FLAT = 0.3
"""Triple product of three bonds' directions below which a centre has no hand"""
Atom: TypeAlias = app.topology.Atom
Graph: TypeAlias = nx.Graph


@dataclass(frozen=True)
class Side:
    """One of two structures that are matched."""

    structure: Structure
    name: str
    """Of its file, for sentences"""

    @cached_property
    def atoms(self) -> list[Atom]:
        """By index."""
        return list(self.structure.topology.atoms())

    @cached_property
    def graph(self) -> Graph:
        """All atoms, by index, and all bonds."""
        graph = nx.Graph()
        graph.add_nodes_from(range(len(self.atoms)))
        graph.add_edges_from(all_bonds(self.structure))
        return graph


def places_in(start: Side, end: Side) -> np.ndarray:
    """For each atom of the start its index in the end; -1 for a hydrogen that the end lacks. Raises SpacetimeError that lists what is
    missing where the two are not one molecule, such hydrogens aside."""
    _check_once(start)
    _check_once(end)
    places = np.full(len(start.atoms), -1)
    wrong: list[str] = []
    for ours, theirs in _parts(start, end):
        heavy, others = _heavy(ours), _heavy(theirs)
        found = (
            _by_name(ours, theirs, start, end)
            or _by_name(heavy, others, start, end)
            or _by_bonds(heavy, others, start, end)
            or _by_name(heavy, others, start, end, whatever_bonds=True)
        )
        if found is None:
            wrong += _lacking(heavy, others, start.name, end.name)
        else:
            places[list(found)] = list(found.values())
    for further in (_place_hydrogens, _disulfides):
        wrong = wrong or further(start, end, places)
    if wrong:
        counts = f"{start.name} has {len(start.atoms)} atoms and {end.name} {len(end.atoms)}"
        raise SpacetimeError(f"{counts}: {listed(wrong)}")
    return places


def borne(side: Side) -> dict[int, list[int]]:
    """Hydrogens by the atom that bears them: the one they are bonded to, or else the nearest of their residue."""
    found: dict[int, list[int]] = {}
    for hydrogen in filter(is_hydrogen, side.atoms):
        bonded = [k for k in side.graph[hydrogen.index] if not is_hydrogen(side.atoms[k])]
        heavy = bonded or [a.index for a in hydrogen.residue.atoms() if not is_hydrogen(a)]
        if heavy:
            apart = np.linalg.norm(side.structure.positions[heavy] - side.structure.positions[hydrogen.index], axis=1)
            found.setdefault(heavy[int(np.argmin(apart))], []).append(hydrogen.index)
    return found


def _check_once(side: Side) -> None:
    for residue in side.structure.topology.residues():
        for atom, count in Counter(a.name for a in residue.atoms()).items():
            if count > 1:
                raise SpacetimeError(f"{side.name}: {residue_name(residue)} holds {atom} twice; keep one of the alternate positions")


def _heavy(atoms: list[Atom]) -> list[Atom]:
    return [a for a in atoms if not is_hydrogen(a)]


def _parts(start: Side, end: Side) -> list[tuple[list[Atom], list[Atom]]]:
    """The atoms of each residue; all in one where one file has a residue for what others are in the other, as caps are."""
    try:
        pairs = paired(start.structure, end.structure, start_name=start.name, end_name=end.name)
        return [(list(ours.atoms()), list(theirs.atoms())) for ours, theirs in pairs]
    except SpacetimeError:
        heavy, others = _heavy(start.atoms), _heavy(end.atoms)
        counts = {side.structure.topology.getNumResidues() for side in (start, end)}
        if len(counts) == 1 or len(heavy) > LARGEST or _by_bonds(heavy, others, start, end) is None:
            raise
        return [(start.atoms, end.atoms)]


def _by_name(ours: list[Atom], theirs: list[Atom], start: Side, end: Side, *, whatever_bonds: bool = False) -> dict[int, int] | None:
    """Where names, elements and bonds are the same."""
    named = {a.name: a for a in theirs}
    found = {a.index: named[a.name].index for a in ours if a.name in named and a.element is named[a.name].element}
    if not len(found) == len(ours) == len(theirs):
        return None
    bonds = {frozenset(found[k] for k in pair) for pair in start.graph.subgraph(found).edges}
    others = {frozenset(pair) for pair in end.graph.subgraph(found.values()).edges}
    return found if bonds == others or whatever_bonds else None


def _by_bonds(ours: list[Atom], theirs: list[Atom], start: Side, end: Side) -> dict[int, int] | None:
    """Where elements and bonds are the same: so that as many names as can be are kept, no hand turns and the two lie as near to each other
    as can be."""
    if len(ours) != len(theirs):
        return None
    for kept in ({a.name for a in ours} & {a.name for a in theirs}, set[str]()):
        graphs = _coloured(ours, start, kept), _coloured(theirs, end, kept)
        ways = GraphMatcher(*graphs, node_match=lambda a, b: a == b).isomorphisms_iter()
        found: list[dict[int, int]] = list(islice(ways, MOST))
        if found:
            return min(found, key=lambda way: _misfit(way, graphs[0], start.structure.positions, end.structure.positions))
    return None


def _coloured(atoms: list[Atom], side: Side, kept: set[str]) -> Graph:
    """Atoms of which those are of one kind that have one element and place among the others, and one name if it is kept."""
    graph = nx.Graph(side.graph.subgraph(a.index for a in atoms))
    names = {a.index: f"{'' if a.element is None else a.element.symbol} {a.name if a.name in kept else ''}" for a in atoms}
    nx.set_node_attributes(graph, kinds_of({a: list(graph[a]) for a in graph}, names), "kind")
    return graph


def _misfit(way: dict[int, int], graph: Graph, ours: np.ndarray, theirs: np.ndarray) -> tuple[int, float]:
    """How many hands turn, and the RMSD after superposition."""
    turned = 0
    for centre in graph:
        near = sorted(graph[centre])[:3]
        if len(near) == 3:
            turned += _handed(ours, centre, near) * _handed(theirs, way[centre], [way[n] for n in near]) < -(FLAT**2)
    return turned, float(rmsd(theirs[list(way.values())], ours[list(way)]))


def _handed(positions: np.ndarray, centre: int, near: list[int]) -> float:
    sides = positions[near] - positions[centre]
    return float(np.linalg.det(sides / np.linalg.norm(sides, axis=1, keepdims=True)))


def _lacking(ours: list[Atom], theirs: list[Atom], start_name: str, end_name: str) -> list[str]:
    names = [{a.name for a in atoms} for atoms in (ours, theirs)]
    residue = residue_name((ours or theirs)[0].residue)
    found = [f"{residue} lacks {name} in {end_name}" for name in sorted(names[0] - names[1])]
    found += [f"{residue} lacks {name} in {start_name}" for name in sorted(names[1] - names[0])]
    return found or [f"{residue} is of other elements in {end_name}"]


def _place_hydrogens(start: Side, end: Side, places: np.ndarray) -> list[str]:
    """Those that are not placed yet go by what bears them, and by name among these. What the start has no place for is told."""
    theirs, taken, wrong = borne(end), set(places.tolist()), []
    bearers = {int(place): k for k, place in enumerate(places) if place >= 0}
    ours = borne(start)
    for there, hydrogens in theirs.items():
        bearer = bearers.get(there)
        free = [h for h in ours.get(-1 if bearer is None else bearer, []) if places[h] < 0]
        names = {start.atoms[h].name: h for h in free}
        new = sorted((h for h in hydrogens if h not in taken), key=lambda h: end.atoms[h].name not in names)
        if len(new) > len(free):
            residue = residue_name(end.atoms[there].residue)
            wrong.append(f"{residue} has a hydrogen more on {end.atoms[there].name} in {end.name} than in {start.name}: "
                         "give both the same protonation, or leave out the hydrogens of one")  # fmt: skip
            continue
        for h in new:
            same = names.get(end.atoms[h].name)
            place = same if same in free else free[0]
            free.remove(place)
            places[place] = h
    return wrong


def _disulfides(start: Side, end: Side, places: np.ndarray) -> list[str]:
    back = {int(place): k for k, place in enumerate(places)}
    ours = {frozenset(pair) for pair in start.structure.topology.bonds() if all(map(_sulfur, pair))}
    theirs = {frozenset(start.atoms[back[a.index]] for a in pair) for pair in end.structure.topology.bonds() if all(map(_sulfur, pair))}
    told = []
    for pair in sorted(ours ^ theirs, key=lambda atoms: min(a.index for a in atoms)):
        here, there = (start.name, end.name) if pair in ours else (end.name, start.name)
        one, other = (residue_name(a.residue) for a in sorted(pair, key=lambda a: a.index))
        told.append(f"{one} and {other} are bonded by a disulfide in {here} and not in {there}, and no bond breaks on the way")
    return told


def _sulfur(atom: Atom) -> bool:
    return atom.element is not None and atom.element.symbol == "S"
