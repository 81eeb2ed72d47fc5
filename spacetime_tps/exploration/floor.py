"""The noise floor: how narrow the noise along curves must be, moved by what the windows of the last round say."""

from dataclasses import dataclass, replace

from spacetime_tps.exploration.route import Route
from spacetime_tps.exploration.settings import FLOOR, GeodesicSettings, WindowSettings

STEP = 2.0**0.5
HOPELESS, RAISED = 20.0, 4.0
"""kT between the two directions from which the noise floor rises by so much at once"""
PLENTY = 0.4
"""Overlap of neighbouring windows that a higher floor still leaves enough of"""


@dataclass(frozen=True)
class NoiseFloor:
    """A precision, per rad^2 or 0.01 nm^2, and the number of windows that a curve of it is given."""

    precision: float
    windows: int
    highest: float
    """Up to which it rises"""

    def after(self, best: Route, windows: WindowSettings) -> "NoiseFloor":
        """The floor of the next round, the same where the best route's windows do not ask for another.

        Where neighbours hardly overlap, windows are put between them: wider noise would hold more basins at once, and the two directions
        say nothing. Windows that overlap and disagree hold several basins at once: narrower noise tells them apart, and more windows keep
        the overlap. Nothing else moves the floor: narrower noise than basins ask for makes curves longer and stiffer.
        """
        if best.lowest_overlap < windows.min_overlap:
            return replace(self, windows=round(STEP * self.windows))
        if best.unsettled and self.precision < self.highest:
            factor = min(RAISED if best.disagreement > HOPELESS else 2.0, self.highest / self.precision)
            count = round(factor**0.5 * self.windows) if best.lowest_overlap < PLENTY else self.windows
            return replace(self, precision=self.precision * factor, windows=count)
        return self


def first_floor(settings: GeodesicSettings, heat: float, windows: int) -> NoiseFloor:
    """The floor that is asked for; else `FLOOR`, or as wide as heat (`Ends.heat`) where that blurs lengths more, and there it stays.

    Lengths have no scale of their own as angles have, and narrower noise takes windows and work.
    """
    if settings.floor is not None:
        return NoiseFloor(settings.floor, windows, settings.highest_floor)
    if FLOOR * heat > 1.0:
        return NoiseFloor(1.0 / heat, windows, 1.0 / heat)
    return NoiseFloor(FLOOR, windows, settings.highest_floor)
