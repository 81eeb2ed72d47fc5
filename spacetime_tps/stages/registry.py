"""The stages of a run, in their order."""

from spacetime_tps.methods.registry import METHODS
from spacetime_tps.stages.exploration import Exploration
from spacetime_tps.stages.paths import Paths
from spacetime_tps.stages.protocol import Stage
from spacetime_tps.stages.unbiased import UnbiasedPaths

STAGES: tuple[Stage, ...] = (Exploration(), *(Paths(method) for method in METHODS), UnbiasedPaths())
