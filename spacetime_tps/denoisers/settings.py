"""Settings of the denoiser."""

from pydantic import Field

from spacetime_tps.validation import StrictModel


class DenoiserSettings(StrictModel):
    """The denoiser that is trained on what was sampled, after the last round; the sampled geodesics are then relaxed under it."""

    components: int = Field(128, ge=0, description="of the von Mises mixture; 0 keeps the weighted samples themselves")
    lessons: int = Field(8000, ge=100, description="points and noise levels to learn at")
    steps: int = Field(1000, ge=1, description="of the mixture's optimiser")
    network_from: int = Field(4, ge=0, description="coordinates from which on it is a neural network instead; 0: never")
    network_steps: int = Field(2500, ge=1, description="of the network's optimiser")
