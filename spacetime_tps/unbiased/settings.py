"""Settings of the unbiased transitions."""

from pydantic import Field, model_validator

from spacetime_tps.shooting.settings import ShootingSettings

SHORTEST_RUNG = 300


class UnbiasedSettings(ShootingSettings):
    """Unbiased transitions of a molecule, shot from the top of the routes."""

    variable: str = Field("", description="name of the coordinate that windows hold, right or wrong; empty finds what they should hold")
    walk_friction_per_ps: float = Field(4.0, gt=0, description="of walks in windows and ladders; that of shots is dynamics.friction_per_ps")
    stride: int = Field(25, ge=1, description="steps between stored frames of paths, at which the states are looked for")
    spacing: int = Field(5, ge=1, description="steps between the points that a path could have been shot from; a divisor of the stride")
    longest: int = Field(20_000, ge=1, description="steps of each trajectory of a shot, at most")

    @model_validator(mode="after")
    def _strides_fit(self) -> "UnbiasedSettings":
        if self.stride % self.spacing:
            raise ValueError(f"spacing must divide stride, got {self.spacing} and {self.stride}")
        if self.gap % self.stride:
            raise ValueError(f"gap must be a multiple of stride, got {self.gap} and {self.stride}")
        if self.rung_steps < max(2 * self.stride, SHORTEST_RUNG):
            raise ValueError(f"rung_steps must be {SHORTEST_RUNG} and two strides at least, got {self.rung_steps} and {self.stride}")
        return self
