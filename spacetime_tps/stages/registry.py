"""The stages of a run, in their order."""

from collections.abc import Sequence

from spacetime_tps.methods.registry import METHODS
from spacetime_tps.stages.exploration import Exploration
from spacetime_tps.stages.paths import Paths
from spacetime_tps.stages.protocol import Stage
from spacetime_tps.stages.unbiased import UnbiasedPaths

STAGES: tuple[Stage, ...] = (Exploration(), *(Paths(method) for method in METHODS), UnbiasedPaths())


def after(name: str, stages: Sequence[Stage] = STAGES) -> list[Stage]:
    """Those of some stages, in their order, that rest on the one of this name, themselves or by others."""
    found: list[Stage] = []
    for stage in stages:
        if {name, *(s.name for s in found)} & set(stage.needs):
            found.append(stage)
    return found
