"""Frames of a trajectory, and pieces of them: cut, reversed in time, and joined."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Frames:
    """F frames at even times, and what they cost."""

    positions: np.ndarray
    """(F, atoms, 3) float32, nm"""
    velocities: np.ndarray
    """(F, atoms, 3) float32, nm/ps"""
    time: np.ndarray
    """(F,) ps since the start of the walk"""
    potential_energy: np.ndarray
    """(F,) kJ/mol, without any bias"""
    point: np.ndarray
    """(F,) index into the walk's schedule of the bias that the frame was made under"""
    evaluations: int
    """Force evaluations spent, those of an unstable walk included."""
    stable: bool
    velocity_offset: np.ndarray | None = None
    """(F,) steps from each frame to the time its velocities belong to: 1/2 where the motion was turned in time, 0 at whole steps. None:
    -1/2 everywhere, as OpenMM keeps them."""

    def __len__(self) -> int:
        return len(self.time)


def snapshots(positions: np.ndarray, velocities: np.ndarray) -> Frames:
    """Structures (F, atoms, 3) that are no trajectory: their times, and points, are their numbers."""
    order = np.arange(len(positions))
    return Frames(positions, velocities, order.astype(float), np.zeros(len(order)), order, 0, True)


def at_whole_steps(positions: np.ndarray, velocities: np.ndarray, energies: np.ndarray, *, spacing: float) -> Frames:
    """A path (F, atoms, 3) whose velocities belong to its frames' times, `spacing` ps apart; energies (F,)."""
    count = len(positions)
    return Frames(
        positions.astype(np.float32), velocities.astype(np.float32), spacing * np.arange(count), energies, np.zeros(count, dtype=int), 0,
        True, np.zeros(count),
    )  # fmt: skip


def part(frames: Frames, which: slice) -> Frames:
    """The frames of a slice. Times stay as they are, and evaluations those of the whole."""
    return replace(
        frames, positions=frames.positions[which], velocities=frames.velocities[which], time=frames.time[which],
        potential_energy=frames.potential_energy[which], point=frames.point[which],
        velocity_offset=None if frames.velocity_offset is None else frames.velocity_offset[which],
    )  # fmt: skip


def offsets(frames: Frames) -> np.ndarray:
    """`velocity_offset` (F,) in numbers."""
    return np.full(len(frames), -0.5) if frames.velocity_offset is None else frames.velocity_offset


def thinned(frames: Frames, every: int) -> Frames:
    """Every `every`-th frame, the first included."""
    return part(frames, slice(None, None, every))


def time_reversed(frames: Frames) -> Frames:
    """The same motion run backwards: last frame first, velocities with the other sign.

    OpenMM's leapfrog velocities belong half a time step before their positions; in the reversed path they belong half a step after them.
    """
    back = part(frames, slice(None, None, -1))
    return replace(
        back, velocities=-back.velocities, time=frames.time.max(initial=0.0) - back.time, velocity_offset=0.0 - offsets(back)
    )  # fmt: skip


def joined(pieces: list[Frames], *, spacing: float) -> Frames:
    """Pieces one after another, at even times (`spacing`, ps) from zero; the evaluations of all."""
    positions = np.concatenate([p.positions for p in pieces])
    return Frames(
        positions=positions,
        velocities=np.concatenate([p.velocities for p in pieces]),
        time=spacing * np.arange(len(positions)),
        potential_energy=np.concatenate([p.potential_energy for p in pieces]),
        point=np.concatenate([p.point for p in pieces]),
        evaluations=sum(p.evaluations for p in pieces),
        stable=all(p.stable for p in pieces),
        velocity_offset=np.concatenate([offsets(p) for p in pieces]),
    )
