"""One shot: two unbiased trajectories from a point, forward and backward in time, until each meets a state."""

from dataclasses import dataclass

import numpy as np
import openmm

from spacetime_tps.coordinates.protocol import Coordinates
from spacetime_tps.engines.openmm.bias import Bias
from spacetime_tps.engines.openmm.constraints import drift, inverse_masses, tangent
from spacetime_tps.engines.openmm.dynamics import Dynamics, Engine, Record
from spacetime_tps.states.ends import IN_A, IN_B, NOWHERE
from spacetime_tps.states.state import State
from spacetime_tps.trajectories.frames import Frames, joined, time_reversed


@dataclass(frozen=True)
class Shot:
    """A task: fresh Maxwell velocities at a frame of a restrained walk, unbiased dynamics both ways."""

    positions: np.ndarray
    """(atoms, 3), nm, in neither state"""
    velocities: np.ndarray
    """(atoms, 3), nm/ps, of that frame, as OpenMM keeps them"""
    bias: Bias
    parameters: np.ndarray
    """The walk's bias, which the trajectories are free of"""
    seed: int
    first: int
    """Steps forward to the first stored frame, a multiple of `spacing` in (0, stride]; backward the rest of a stride"""
    stride: int
    """Steps between stored frames, at which the states are looked for"""
    spacing: int
    """Steps between the points of a path that it could have been shot from as well"""
    longest: int
    """Steps of each trajectory, at most"""
    a: State
    b: State
    coordinates: Coordinates


@dataclass(frozen=True)
class Outcome:
    """What became of a shot."""

    ends: tuple[int, int]
    """Where the trajectories forward and backward in time ended: IN_A, IN_B, or NOWHERE where the steps ran out or broke down"""
    evaluations: int
    stable: bool
    path: Frames | None
    """From A to B, every `stride` steps, reversed in time where it ran from B to A; None where the shot is not reactive, or where no
    point of the path lies between the states (they all but touch), so that it cannot have been shot"""
    features: np.ndarray | None
    """(P, E): T of the path's points every `spacing` steps that lie in neither state: all that it could have been shot from"""


def shoot(engine: Engine, shot: Shot) -> Outcome:
    """Fire a shot.

    A trajectory is looked at every `stride` steps only, so where the looks fall is part of a path's definition. With `first` drawn evenly
    from the multiples of `spacing` up to `stride`, a path can be shot from each of its points that `spacing` tells apart, not from its
    stored frames alone: more points, more even weights (shooting.weights).

    LangevinMiddle kicks, drifts half a step, mixes noise into the velocities, drifts the other half. Only in that middle are positions and
    velocities independent and the velocities Maxwell; fresh ones at a whole step would put kT (omega dt)^2 / 8 of heat into each vibration.
    So the walk takes its next half step, and the two trajectories part from there with velocities v and a v + noise. Where there are
    constraints, the middle is moved back onto them, and both velocities are drawn along them (engines.openmm.constraints).
    """
    model, held, dynamics = engine.model, engine.under(shot.bias), engine.under(None)
    rng = np.random.default_rng(shot.seed)
    half = 0.5 * model.timestep
    held.begin(shot.seed, shot.positions, shot.velocities, parameters=shot.parameters)
    inverse = inverse_masses(held.context)
    force = held.context.getState(forces=True).getForces(asNumpy=True)._value
    velocities = tangent(held.context, shot.velocities + model.timestep * inverse * force)
    middle = drift(held.context, held.positions, velocities, half)
    spread = np.sqrt(model.kT * inverse)
    kept = np.exp(-model.friction * model.timestep)
    before, fresh = (tangent(held.context, spread * rng.normal(size=middle.shape)) for _ in range(2))
    after = kept * before + np.sqrt(1.0 - kept**2) * fresh
    dynamics.begin(shot.seed, middle, -before)
    drift(dynamics.context, middle, -before, half)
    backward = _half(dynamics, shot, done=0, first=shot.stride - shot.first)
    drift(dynamics.context, middle, after, half)
    forward = _half(dynamics, shot, done=1, first=shot.first)
    evaluations = forward.evaluations + backward.evaluations + 1
    stable = forward.stable and backward.stable
    ends = (forward.end, backward.end)
    if not stable or set(ends) != {IN_A, IN_B}:
        return Outcome(ends, evaluations, stable, None, None)
    path = joined([time_reversed(backward.frames), forward.frames], spacing=shot.stride * model.timestep)
    points = np.concatenate([backward.points[::-1], forward.points])[1:-1]
    if ends == (IN_A, IN_B):
        path, points = joined([time_reversed(path)], spacing=shot.stride * model.timestep), points[::-1]
    between = ~(shot.a.contains(points) | shot.b.contains(points))
    if not between.any():
        return Outcome(ends, evaluations, True, None, None)
    return Outcome(ends, evaluations, True, path, shot.coordinates.features(points[between]))


@dataclass(frozen=True)
class _Half:
    end: int
    evaluations: int
    stable: bool
    frames: Frames
    """Stored frames, the last one in a state"""
    points: np.ndarray
    """(P, atoms, 3) every `spacing` steps, up to the last stored frame"""


@np.errstate(over="ignore", invalid="ignore")  # of a molecule that explodes; `stable` tells
def _half(dynamics: Dynamics, shot: Shot, *, done: int, first: int) -> _Half:
    """From the context as it stands, `done` steps from the point, until a stored frame is in a state; the first one is at step `first`."""
    record = Record(dynamics.context)
    points: list[np.ndarray] = []
    end, stable = NOWHERE, True
    try:
        for now in range(done and shot.spacing, shot.longest + 1, shot.spacing):
            record.step(dynamics.integrator, now - max(now - shot.spacing, done) if now else 0)
            points.append(record.positions())
            if (now - first) % shot.stride:
                continue
            record.add(now * dynamics.model.timestep, 0)
            stored = points[-1].astype(np.float32)  # as files will have it: rounding takes frames across a state's border
            if shot.a.contains(stored):
                end = IN_A
            elif shot.b.contains(stored):
                end = IN_B
            if end != NOWHERE:
                break
    except (openmm.OpenMMException, FloatingPointError):
        stable = False
    frames = record.frames(stable=stable)
    return _Half(end, record.steps, frames.stable, frames, np.array(points))
