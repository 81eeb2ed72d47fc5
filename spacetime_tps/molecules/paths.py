"""Pieces of trajectories: cut, turned in time, and joined."""

from dataclasses import replace

import numpy as np

from spacetime_tps.molecules.dynamics import Frames


def part(frames: Frames, which: slice) -> Frames:
    """The frames of a slice. Times stay as they are, and evaluations those of the whole."""
    return replace(
        frames, positions=frames.positions[which], velocities=frames.velocities[which], time=frames.time[which],
        potential_energy=frames.potential_energy[which], point=frames.point[which],
    )  # fmt: skip


def turned(frames: Frames) -> Frames:
    """The same motion run backwards: last frame first, velocities with the other sign.

    OpenMM's leapfrog velocities belong half a time step before their positions; in the turned path they belong half a step after them.
    """
    back = part(frames, slice(None, None, -1))
    return replace(back, velocities=-back.velocities, time=frames.time.max(initial=0.0) - back.time)


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
    )
