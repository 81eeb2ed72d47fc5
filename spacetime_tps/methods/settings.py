"""Settings of the methods that make paths along curves."""

from pydantic import Field, model_validator

from spacetime_tps.validation import StrictModel

HOLD = 100
"""Steps for which the last point of a curve is held, at least: a path is judged by its last frame"""


def hold_points(steps_per_point: int) -> int:
    """How often the last point is repeated so that it is held for `HOLD` steps."""
    return -(-HOLD // steps_per_point) - 1


class GuidedSettings(StrictModel):
    """Guided transitions along the geodesic."""

    paths: int = Field(100, ge=0, description="a route")
    points: int = Field(127, ge=2, description=f"of the curve, at which the restraint is set; the last is held for {HOLD} steps or more")
    steps_per_point: int = Field(50, ge=1, description="a multiple of the stride")
    stride: int = Field(25, ge=1, description="steps between stored frames")

    @model_validator(mode="after")
    def _whole_strides(self) -> "GuidedSettings":
        if self.steps_per_point % self.stride:
            raise ValueError(f"steps_per_point must be a multiple of stride, got {self.steps_per_point} and {self.stride}")
        return self

    @property
    def steps(self) -> int:
        """Force evaluations of one path."""
        return (self.points + hold_points(self.steps_per_point)) * self.steps_per_point

    @property
    def frames(self) -> int:
        """Stored frames of one path, its start included."""
        return self.steps // self.stride + 1


class SteeredSettings(StrictModel):
    """The baseline: steered MD on straight lines, at the cost of guided paths (`guided`)."""

    paths: int = Field(0, ge=0, description="a line: the short way round, and the best route's way where it is another")


class MethodSettings(StrictModel):
    """All of them."""

    guided: GuidedSettings = GuidedSettings()
    steered: SteeredSettings = SteeredSettings()
    reverse: int = Field(0, ge=0, description="paths walked back from B to A along each curve and line that paths are walked along")
