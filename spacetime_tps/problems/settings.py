"""Settings of the dynamics, which the problem is prepared with."""

from pydantic import Field

from spacetime_tps.validation import StrictModel


class DynamicsSettings(StrictModel):
    """Langevin dynamics (OpenMM's LangevinMiddleIntegrator)."""

    friction_per_ps: float | None = Field(None, gt=0, description="the system's where it is not given")
    timestep_fs: float | None = Field(None, gt=0, description="the system's where it is not given")
    platform: str = Field("auto", description="OpenMM platform; auto times those that are present")

    @property
    def named_platform(self) -> str | None:
        """The platform; None where those that are present are timed."""
        return None if self.platform == "auto" else self.platform
