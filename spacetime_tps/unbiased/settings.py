"""Settings of the unbiased transitions."""

from pydantic import Field, model_validator

from spacetime_tps.validation import StrictModel


class UnbiasedSettings(StrictModel):
    """Unbiased transitions, shot from the top of the routes."""

    paths: int = Field(0, ge=0, description="effective number wanted; 0 leaves the stage out")
    budget: int = Field(10_000_000, ge=1, description="evaluations of the stage, at most")
    stiffness: float = Field(100.0, gt=1, description="kappa of the windows that shooting points are drawn from, doubled where they slide")
    margin_kT: float = Field(8.0, ge=0, description="crossings whose window costs more than the best one's by more are not shot from")
    walkers: int = Field(16, ge=1, description="walks in a window, side by side: the units of every error")
    equilibration: int = Field(1500, ge=0, description="steps of each walk when its window is new")
    points: int = Field(6, ge=1, description="on each walk, in a batch")
    gap: int = Field(300, ge=1, description="steps of a walk from point to point")
    walk_friction_per_ps: float = Field(4.0, gt=0, description="of walks in windows and ladders; that of shots is dynamics.friction_per_ps")
    shots: int = Field(2, ge=1, description="from each point")
    stride: int = Field(25, ge=1, description="steps between stored frames of paths, at which the states are looked for")
    spacing: int = Field(5, ge=1, description="steps between the points that a path could have been shot from; a divisor of the stride")
    states: int = Field(24, ge=0, description="points that look like transition states and are shot from again")
    state_shots: int = Field(10, ge=1, description="from each of those")
    rung_steps: int = Field(1000, ge=300, description="of each walk at each window of the ladder that links a crossing to A")
    longest: int = Field(20_000, ge=1, description="steps of each trajectory of a shot, at most")

    @model_validator(mode="after")
    def _strides_fit(self) -> "UnbiasedSettings":
        if self.stride % self.spacing:
            raise ValueError(f"spacing must divide stride, got {self.spacing} and {self.stride}")
        if self.gap % self.stride:
            raise ValueError(f"gap must be a multiple of stride, got {self.gap} and {self.stride}")
        if self.rung_steps < 2 * self.stride:
            raise ValueError(f"rung_steps must be two strides at least, got {self.rung_steps} and {self.stride}")
        return self
