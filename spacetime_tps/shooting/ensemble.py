"""What a shooting run amounts to."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from spacetime_tps.sampling.comparison import effective_number
from spacetime_tps.shooting.batches import Batch
from spacetime_tps.shooting.crossing import Crossing
from spacetime_tps.shooting.sites import Site


@dataclass(frozen=True)
class Ensemble:
    """All batches, and the weights of their reactive paths."""

    sites: list[Site[Any]]
    left_out: list[tuple[Crossing, str]]
    """Crossings that no path was shot from, and why"""
    weight: np.ndarray
    """(paths,), in the order of the sites' batches; their sum estimates reactive paths, both directions, per spacing: relative to the
    population of A where there is a ladder, in a unit of no meaning otherwise"""
    enough: bool
    """Whether the wanted effective number was reached within the budget"""
    lost: bool
    """Whether no site has a window left to try: none stayed on the top, or none of its shots was reactive"""
    ladder_error: list[float]
    """Standard error, kT, of each site's free energy relative to A; nan without a ladder"""
    ladder_evaluations: int
    evaluations: int
    """All of them, those that had been taken from the budget before included"""
    separating: bool
    """Whether every path must pass through the variable of the crossings"""

    @property
    def reason(self) -> str:
        """Why it ended."""
        if self.enough:
            return "the effective number is reached"
        return "no window stays on the top" if self.lost else "the budget is spent"

    @property
    def batches(self) -> list[Batch]:
        """Site by site."""
        return [batch for site in self.sites for batch in site.batches]

    @property
    def effective(self) -> float:
        """Kish's number of the weights."""
        return effective_number(self.weight)
