"""What a shooting run is asked for, and how its batches are made up."""

from pydantic import Field

from spacetime_tps.validation import StrictModel


class ShootingSettings(StrictModel):
    """Of the estimator, whatever the engine; steps are the engine's. What all mean is in docs/unbiased.md."""

    paths: int = Field(0, ge=0, description="effective number (sum w)^2 / sum w^2 wanted; 0 leaves the stage out")
    budget: int = Field(10_000_000, ge=1, description="evaluations, at most: walks, ladders, shots, and trials of committors")
    stiffness: float = Field(100.0, gt=1, description="kappa of the windows that shooting points are drawn from, doubled where they slide")
    margin_kT: float = Field(8.0, ge=0, description="crossings whose window costs more than the best one's by more are not shot from")
    walkers: int = Field(16, ge=1, description="walks in a window, side by side: the units of every error")
    equilibration: int = Field(1500, ge=0, description="steps of each walk when its window is new")
    points: int = Field(6, ge=1, description="on each walk, in a batch")
    gap: int = Field(300, ge=1, description="steps of a walk from point to point")
    shots: int = Field(2, ge=1, description="from each point")
    pilot_shots: int = Field(4, ge=1, description="from each walk, in a window that is being tried")
    states: int = Field(24, ge=0, description="points that look like transition states and are shot from again")
    state_shots: int = Field(10, ge=1, description="from each of those")
    rung_steps: int = Field(1000, ge=1, description="of each walk at each window of the ladder that links a crossing to A")

    @property
    def rung_discard(self) -> int:
        """Steps at each window of a ladder that are left out."""
        return self.rung_steps // 3

    @property
    def pilot_points(self) -> int:
        """On each walk of a pilot, so that a window that is tried has `pilot_shots` a walk, spread as later batches spread them."""
        return max(self.pilot_shots // self.shots, 1)
