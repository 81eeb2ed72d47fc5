"""Settings of the exploration: MD in both ends, windows, weights, denoiser and geodesic, round by round."""

from pydantic import Field, model_validator

from spacetime_tps.denoisers.settings import DenoiserSettings
from spacetime_tps.exploration.regions import Forbidden
from spacetime_tps.validation import StrictModel

FLOOR = 40.0
"""First noise floor where none is asked for and heat does not set it, per rad^2 or 0.01 nm^2"""


class TrainingSettings(StrictModel):
    """Plain MD in the two ends. The walks in A are the thermal reference too."""

    walks: int = Field(4, ge=1, description="independent walks in each end")
    equilibration_steps: int = Field(2000, ge=0, description="of each walk, before frames are stored")
    steps_a: int = Field(76_000, ge=1, description="of each walk in A, afterwards")
    steps_b: int = Field(13_000, ge=1, description="the same in B")
    stride: int = Field(25, ge=1, description="steps between stored frames")
    pool_stride: int = Field(20, ge=1, description="every so many frames enter the pool of weighted samples")

    @model_validator(mode="after")
    def _frames_are_stored(self) -> "TrainingSettings":
        if min(self.steps_a, self.steps_b) < self.stride:
            raise ValueError(f"steps_a and steps_b must be a stride at least, got {self.steps_a}, {self.steps_b} and {self.stride}")
        return self


class WindowSettings(StrictModel):
    """Umbrella windows along the current curves, walked both ways."""

    count: int = Field(24, ge=4, description="along each curve, to begin with")
    steps: int = Field(3000, ge=1, description="at each window, each way")
    discard: int = Field(1000, ge=1, description="of these, before frames are stored")
    stride: int = Field(25, ge=1, description="steps between stored frames")
    min_overlap: float = Field(0.1, gt=0, lt=1, description="below this there are more windows")

    @model_validator(mode="after")
    def _frames_are_left(self) -> "WindowSettings":
        if self.steps - self.discard < 2 * self.stride:
            raise ValueError(f"steps must exceed discard by two strides or more, got {self.steps}, {self.discard} and stride {self.stride}")
        return self


class GeodesicSettings(StrictModel):
    """The curve, its penalties and its optimiser."""

    points: int = Field(64, ge=8, description="of a curve, at which objective and penalties are evaluated")
    nodes: int = Field(16, ge=4, description="of the spline that is optimised")
    evaluations: int = Field(200, ge=1, description="of the objective, at most")
    floor: float | None = Field(
        None,
        gt=0,
        description="first noise floor, per rad^2 or 0.01 nm^2; two basins raise it. "
        f"Not given: {FLOOR:.0f}, less for lengths that heat moves more",
    )
    highest_floor: float = Field(400.0, gt=0, description="up to which the floor rises; it stays where heat sets it")
    low_variance_weight: float = Field(500.0, ge=0, description="this and the other weights in units of the straight curve's energy")
    barrier_weight: float = Field(0.05, ge=0, description="per kT")
    barrier_sharpness: float = Field(2.0, gt=0, description="of the soft maximum, per kT")
    steepest: float = Field(2.0, gt=1, description="variance over that of the noise alone, beyond which samples cannot follow")
    followable_weight: float = Field(5.0, ge=0, description="of the penalty where samples cannot follow")
    min_effective_samples: float = Field(15.0, gt=1, description="independent ones, at every point of a curve")
    effective_samples_weight: float = Field(5.0, ge=0, description="of the penalty where there are fewer than that")


class RoundSettings(StrictModel):
    """Windows, weights, denoiser and geodesic repeat until the curve stays."""

    min_rounds: int = Field(2, ge=1, description="at least, whether the curve has settled or not")
    max_rounds: int = Field(6, ge=1, description="at most")
    length_tolerance: float = Field(0.05, gt=0, description="relative change of the best curve's length at which rounds stop")
    routes: int = Field(1, ge=1, description="how many routes are sampled, best barrier first")
    route_margin_kT: float = Field(2.0, ge=0, description="routes whose barrier is higher than the best by more are not refined")
    max_routes: int = Field(8, ge=1, description="initial curves, at most")
    quenches: int = Field(24, ge=0, description="sampled frames, far from each other, that are minimised to find minima between the ends")

    @property
    def straight_lines(self) -> int:
        """Of different classes, at most, and as many detours past regions: half of the initial curves, so that others have room."""
        return max(self.max_routes // 2, 1)

    @model_validator(mode="after")
    def _ordered(self) -> "RoundSettings":
        if self.min_rounds > self.max_rounds:
            raise ValueError(f"min_rounds must not exceed max_rounds, got {self.min_rounds} and {self.max_rounds}")
        return self


class AvoidanceSettings(StrictModel):
    """How a curve is kept out of the regions of `avoid`."""

    floor_nats: float = Field(
        10.0,
        gt=0,
        description="of a curve's divergence from a region: 257 independent frames at P_eta = exp(-10) would take one path in a hundred in",
    )
    margin: float = Field(
        0.175, ge=0, description="rad, or 0.1 nm: around a box, for the curve alone; paths lag behind it and are counted without"
    )
    weights: tuple[float, ...] = Field(
        (0.3, 1.0, 3.0, 10.0, 30.0),
        min_length=1,
        description="of the penalty, over the straight curve's energy, in turn: a strong one at once throws a curve off the samples",
    )


class ExplorationSettings(StrictModel):
    """All of them."""

    training: TrainingSettings = TrainingSettings()
    windows: WindowSettings = WindowSettings()
    geodesic: GeodesicSettings = GeodesicSettings()
    rounds: RoundSettings = RoundSettings()
    avoid: tuple[Forbidden, ...] = Field((), description="regions that paths are to keep out of")
    avoidance: AvoidanceSettings = AvoidanceSettings()
    denoiser: DenoiserSettings = DenoiserSettings()
