"""What a shooting run is asked for, and how its batches are made up."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ShootingOptions:
    """Numbers of steps are the engine's: of walks, and of the dynamics of shots. What all mean is in docs/unbiased.md."""

    seed: int
    paths: int
    """Effective number (sum w)^2 / sum w^2 wanted"""
    budget: int
    """Evaluations, at most: walks, ladders, shots, and trials of committors"""
    stiffness: float
    """Of first windows, in units of the variable, kT"""
    walkers: int
    """Walks in a window, side by side"""
    points: int
    """On each walk, in a batch"""
    gap: int
    """Steps of a walk from point to point"""
    shots: int
    """From each point"""
    equilibration: int
    """Steps of each walk when its window is new"""
    rung_steps: int
    """Of each walk at each window of a ladder"""
    margin_kT: float = 8.0
    """Sites whose window costs more than the best one's by more are not shot from"""
    pilot_shots: int = 6
    """From each walk, in a window that is being tried"""
    states: int = 0
    """Points that are going to be shot from again, for their committors"""
    state_shots: int = 0
    """From each of those"""
    rates: bool = True
    """Whether weights are wanted relative to the population of A, which takes a ladder. Several sites take one each in any case"""

    @property
    def pilot_points(self) -> int:
        """On each walk of a pilot, so that a window that is tried has `pilot_shots` a walk, spread as later batches spread them."""
        return max(self.pilot_shots // self.shots, 1)
