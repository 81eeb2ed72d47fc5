"""A method's paths made by several jobs: each makes its share in a storage of its own, and one takes them all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spacetime_tps.exploration.sampled import Sampled
from spacetime_tps.paths.transition import Transition, replace_transitions, table_of
from spacetime_tps.problems.problem import Problem
from spacetime_tps.settings import Settings
from spacetime_tps.stages import exploration
from spacetime_tps.stages.paths import Paths, in_order
from spacetime_tps.stages.protocol import Given
from spacetime_tps.stages.share import Share
from spacetime_tps.storage.protocol import Storage


@dataclass(frozen=True)
class SharedPaths(Paths):
    """The paths of a method that a share holds, each as it would be in a run that makes all of them."""

    share: Share = field(default_factory=Share)
    there: frozenset[str] = frozenset()
    """Paths that the run has already: they are not made"""

    def asked(self, settings: Settings) -> Any:
        wanted = self.method.asked(settings)
        return [wanted, str(self.share), sorted(self.there)] if wanted else None

    def wanted(self, settings: Settings, route: str) -> list[int]:
        held = (k for k in range(self.method.asked(settings)) if Share.holding(k, self.share.of) == self.share)
        return [k for k in held if self.path_name(route, k) not in self.there]


@dataclass(frozen=True)
class GatheredPaths(Paths):
    """All paths of a method that are asked for, those that a storage lacks copied from `found`."""

    found: Mapping[str, tuple[Transition, Storage]] = field(default_factory=dict)
    """Rows by their paths, and where their files are"""

    def lacking(self, problem: Problem, sampled: Sampled, settings: Settings, there: frozenset[str]) -> list[int]:
        """Numbers of the paths that are neither there nor found."""
        curves = self.curves(problem, sampled, settings)
        named = [(k, self.path_name(curve.route, k)) for curve in curves for k in self.wanted(settings, curve.route)]
        return [k for k, name in named if name not in there and name not in self.found]

    def run(self, given: Given) -> list[Transition]:
        storage = given.simulation.storage
        for curve in self.curves(given.problem, given.values[exploration.NAME], given.settings):
            rows = {r.path: r for r in self.load(given) if r.route == curve.route}
            for name in (self.path_name(curve.route, k) for k in self.wanted(given.settings, curve.route)):
                if name not in rows:
                    rows[name], elsewhere = self.found[name]
                    for file in (rows[name].file, table_of(rows[name].file)) if rows[name].file else ():
                        storage.put_bytes(file, elsewhere.content(file))
            replace_transitions(storage, self.name, in_order(rows.values()), route=curve.route)
        return self.load(given)
