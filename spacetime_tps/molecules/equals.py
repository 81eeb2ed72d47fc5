"""Atoms that are equal by symmetry, numbered alike in two structures: what turns between them is then the molecule and not the numbering.

Hydrogens of a methyl, oxygens of a carboxylate, the sides of a phenyl ring, the two methyls of a valine: groups of branches about one atom
that can be exchanged while all else stays. About an atom with four neighbours the order is that of the same hand, so that a CH2's
hydrogens are exchanged where they were numbered in the other order and never else; where several are of one hand, as of a methyl, and
about flat atoms, it is that which turns by the least angle.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import TypeAlias

import networkx as nx
import numpy as np
from networkx.algorithms.isomorphism import GraphMatcher

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.coordinates.torsions import Torsions
from spacetime_tps.molecules.integrity import hands, kinds_of, neighbours
from spacetime_tps.molecules.structure import Structure

Graph: TypeAlias = nx.Graph
Exchange = dict[int, int]
"""Atoms, and whose places they take"""
GAIN = np.radians(1.0)
"""By which an exchange must turn less than leaving all as it is"""


def numbered_alike(start: Structure, end: Structure, fixed: np.ndarray | None = None) -> Structure:
    """The end, which has the start's topology, with its equal atoms in each other's places. Groups whose atoms are all `fixed` (atoms,), a
    bool each, stay as they are."""
    near, symbol = neighbours(start.topology)
    order = np.arange(len(start.positions))
    fixed = np.zeros(len(order), dtype=bool) if fixed is None else fixed
    whole = nx.Graph((a, b) for a, around in near.items() for b in around)
    for molecule in sorted(nx.connected_components(whole), key=min):
        tree = _rooted(nx.Graph(whole.subgraph(molecule)), symbol)
        for centre, group in tree.groups():
            ways = list(tree.exchanges(centre, group))
            if ways and not all(fixed[a] for way in ways for a, b in way.items() if a != b):
                way = _best(tree, centre, group, ways, start.positions, end.positions[order])
                order[list(way)] = order[list(way.values())]
    return Structure(end.topology, end.positions[order])


@dataclass(frozen=True)
class Rooted:
    """A molecule seen from one atom, which stays."""

    graph: Graph
    root: int
    kinds: dict[int, int]
    """Equal numbers are alike, the root told from all others"""
    depth: dict[int, int]
    """Bonds from the root"""

    def groups(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Each atom, from the root outwards, with two or three neighbours further out that are alike."""
        for centre in sorted(self.graph, key=lambda a: (self.depth[a], a)):
            outer: dict[int, list[int]] = {}
            for atom in sorted(self.graph[centre]):
                if self.depth[atom] > self.depth[centre]:
                    outer.setdefault(self.kinds[atom], []).append(atom)
            yield from ((centre, tuple(group)) for group in outer.values() if len(group) in (2, 3))

    def exchanges(self, centre: int, group: tuple[int, ...]) -> Iterator[Exchange]:
        """Ways to exchange the branches of a group, the first to leave them; none where the branches hang together with the rest."""
        parts = {atom: self._beyond(centre, atom) for atom in group}
        ring = parts[group[0]] == parts[group[-1]]
        if not all(parts.values()) or (ring and len(group) != 2):
            return
        yield {}
        for order in permutations(group):
            moved = {a: b for a, b in zip(group, order, strict=True) if a != b}
            pinned = [moved] if ring else [{a: b} for a, b in moved.items()]
            pieces = [self._laid(parts[min(p)], parts[p[min(p)]], p) for p in pinned if p]
            if pieces and all(pieces):
                yield {a: b for piece in pieces for a, b in piece.items()}

    def _beyond(self, centre: int, atom: int) -> set[int]:
        """What hangs on the centre by an atom; nothing where the root does."""
        seen, edge = {atom}, [atom]
        while edge:
            new = {n for a in edge for n in self.graph[a] if n != centre} - seen
            if self.root in new:
                return set()
            seen |= new
            edge = list(new)
        return seen

    def _laid(self, one: set[int], other: set[int], pinned: Exchange) -> Exchange:
        """A branch laid upon another, atoms on such of their kind and the pinned ones on those they are pinned to; nothing where it does
        not fit."""
        graphs = nx.Graph(self.graph.subgraph(one)), nx.Graph(self.graph.subgraph(other))
        for graph, marks in zip(graphs, (list(pinned), list(pinned.values())), strict=True):
            nx.set_node_attributes(graph, {a: (self.kinds[a], marks.index(a) if a in marks else -1) for a in graph}, "kind")
        matcher = GraphMatcher(*graphs, node_match=lambda a, b: a["kind"] == b["kind"])
        return dict(matcher.mapping) if matcher.is_isomorphic() else {}


def _rooted(graph: Graph, symbol: dict[int, str]) -> Rooted:
    """From the middle of a molecule, outside rings and like no other atom where there is such."""
    near = {a: list(graph[a]) for a in graph}
    kinds = kinds_of(near, {a: symbol[a] for a in graph})
    counts, in_ring = Counter(kinds.values()), {atom for ring in nx.cycle_basis(graph) for atom in ring}
    away = partial(nx.single_source_shortest_path_length, graph)
    one = _last(away(min(graph)))
    other = _last(away(one))
    lengths = away(one), away(other)
    far = {a: max(length[a] for length in lengths) for a in graph}
    root = min(graph, key=lambda a: (counts[kinds[a]] > 1, a in in_ring, far[a], a))
    return Rooted(graph, root, kinds_of(near, {a: symbol[a] + " root" * (a == root) for a in graph}), away(root))


def _last(lengths: dict[int, int]) -> int:
    return max(lengths, key=lambda a: (lengths[a], -a))


def _best(tree: Rooted, centre: int, group: tuple[int, ...], ways: list[Exchange], start: np.ndarray, end: np.ndarray) -> Exchange:
    """Of the ways that turn the fewest hands the one that turns the group by the least angle."""
    places = [np.array([way.get(k, k) for k in range(len(end))]) for way in ways]
    told = {centre} | {a for way in ways for a in way if len({tree.kinds[n] for n in tree.graph[a]}) == 4}
    fours = [[a, *sorted(tree.graph[a])[:3]] for a in sorted(told) if len(tree.graph[a]) == 4]
    centres = np.array(fours, dtype=int).reshape(-1, 4)
    mistaken = [int((hands(start, centres) != hands(end[place], centres)).sum()) for place in places]
    turned = [_turned(tree, centre, group, start, end[place]) for place in places]
    kept = [k for k, count in enumerate(mistaken) if count == min(mistaken)]
    least = min(kept, key=lambda k: turned[k])
    return ways[kept[0] if turned[kept[0]] - turned[least] < GAIN else least]


def _turned(tree: Rooted, centre: int, group: tuple[int, ...], start: np.ndarray, end: np.ndarray) -> float:
    """The mean angle by which the group turns about the bond to the rest; 0 where there is nothing to turn against.

    Of what lies further out, and is itself not numbered alike yet, the nearest of a kind counts.
    """
    angles = []
    for axis in (n for n in tree.graph[centre] if n not in group):
        others = [n for n in tree.graph[axis] if n != centre]
        settled = tree.depth[axis] < tree.depth[centre]
        if not others:
            continue
        for atom in group:
            seen = Torsions((), tuple((atom, centre, axis, other) for other in others))
            apart = _apart(seen, start, end)
            alike = np.array([[a == b if settled else tree.kinds[a] == tree.kinds[b] for b in others] for a in others])
            angles.append(float(np.where(alike, apart, np.inf).min(axis=1).mean()))
    return float(np.mean(angles)) if angles else 0.0


def _apart(seen: Torsions, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Angles (n, n) of each torsion in the start from each in the end."""
    one, other = seen.values(start), seen.values(end)
    return np.abs(difference(one[:, None], other[None], np.ones(len(one), dtype=bool)))
