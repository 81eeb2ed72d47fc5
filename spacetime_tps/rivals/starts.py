"""Paths that a chain begins from, and what they cost."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spacetime_tps.engines.openmm.dynamics import FREE, Dynamics, Walk
from spacetime_tps.engines.openmm.whole_steps import whole_step_velocities
from spacetime_tps.errors import SpacetimeError
from spacetime_tps.exploration.sampled import PREPARATION, set_up
from spacetime_tps.paths.transition import SUMMARY, read_path, read_transitions
from spacetime_tps.problems.problem import Problem
from spacetime_tps.rivals.protocol import Contest
from spacetime_tps.seeds import seed_of
from spacetime_tps.states.state import State
from spacetime_tps.states.transitions import transitions
from spacetime_tps.trajectories.frames import Frames, joined, offsets, part, thinned, time_reversed

GUIDED = "guided"
HOTTER = (1.5, 2.0, 3.0, 4.0, 6.0)
"""Times the temperature of the run, one after another, until the molecule crosses"""
HOT_STEPS = 200_000
"""At each of them"""


@dataclass(frozen=True)
class InitialPath:
    """A path from A to B that is no sample yet."""

    positions: np.ndarray
    """(F, atoms, 3), nm"""
    velocities: np.ndarray
    """(F, atoms, 3), nm/ps, at whole steps"""
    evaluations: dict[str, int]
    """What it took"""
    told: dict[str, Any]
    """Where it is from, as plain data"""


Start = Callable[[Contest, int | None], InitialPath]
"""A path for a chain of paths of so many frames, or of any length"""


def from_guided(contest: Contest, length: int | None) -> InitialPath:
    """One of the run's guided paths, drawn; where paths may have any length, what lies between its states.

    Its cost is that of the run up to there, and of one guided path. Raises SpacetimeError where there is none.
    """
    problem = contest.problem
    rows = [r for r in read_transitions(contest.run) if r.stage == GUIDED and r.hit]
    if contest.stride % contest.guided_stride:
        raise SpacetimeError("a chain cannot begin from a guided path: unbiased.stride is no multiple of guided.stride")
    order = np.random.default_rng(seed_of(contest.seed, "initial_path", 0)).permutation(len(rows))
    for row in (rows[k] for k in order.tolist()):
        path = _piece(thinned(read_path(contest.run, row.file), contest.stride // contest.guided_stride), length, problem.a, problem.b)
        if path is not None and problem.whole(path.positions):
            spent = contest.run.record(SUMMARY)["evaluations"]
            cost = {**set_up(spent), GUIDED: row.evaluations}
            return InitialPath(path.positions, _whole_steps(path, problem), cost, {"from": row.path, "frames": len(path)})
    raise SpacetimeError(f"{contest.run.path} holds no guided path from A to B to begin from: call run with --guided 10")


def made_hot(contest: Contest, length: int | None) -> InitialPath:
    """A transition of plain MD at a temperature at which the molecule crosses by itself, the lowest of `HOTTER` that does in `HOT_STEPS`.

    Needs nothing of the run but its preparation. Raises SpacetimeError where none crosses whole.
    """
    problem, spent = contest.problem, 0
    segment = 20_000 // contest.stride * contest.stride
    for times in HOTTER:
        hot = replace(problem.model, temperature=times * problem.model.temperature)
        dynamics, seen = Dynamics(hot), None
        for number in range(HOT_STEPS // segment):
            at = (problem.start.positions, None) if seen is None else _last(seen)
            frames = dynamics.walk(Walk(None, FREE, segment, contest.stride, seed_of(contest.seed, f"hot_{times}", number), *at))
            spent += frames.evaluations
            if not frames.stable or not problem.whole(frames.positions[-1:]):
                seen = None  # it begins anew
                continue
            spacing = contest.stride * hot.timestep
            seen = frames if seen is None else joined([seen, part(frames, slice(1, None))], spacing=spacing)
            path = _piece(seen, length, problem.a, problem.b)
            if path is not None and problem.whole(path.positions):
                told = {"from": "plain MD", "temperature_K": hot.temperature, "frames": len(path)}
                at_rest = {PREPARATION: problem.evaluations, "hot_md": spent}
                return InitialPath(path.positions, _whole_steps(path, problem), at_rest, told)
            seen = part(seen, slice(-max(length or 0, segment // contest.stride), None))
    raise SpacetimeError(f"no transition in {spent} steps of plain MD at up to {hot.temperature:g} K: there is no hot path to begin from")


def _piece(frames: Frames, length: int | None, a: State, b: State) -> Frames | None:
    """A piece from A to B: between its states, or of so many frames and with its ends in them; None where there is none."""
    if length is None:
        found, _ = transitions(frames, a, b)
        return next((f for f in found if len(f) > 2), None)
    if len(frames) < length:
        return None
    in_a, in_b = a.contains(frames.positions), b.contains(frames.positions)
    last = len(frames) - length + 1
    for first, then, turn in ((in_a, in_b, False), (in_b, in_a, True)):
        fits = np.flatnonzero(first[:last] & then[length - 1 :])
        if len(fits):
            piece = part(frames, slice(int(fits[0]), int(fits[0]) + length))
            return time_reversed(piece) if turn else piece
    return None


def _last(frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    return frames.positions[-1].astype(float), frames.velocities[-1].astype(float)


def _whole_steps(path: Frames, problem: Problem) -> np.ndarray:
    """Its velocities at the times of its frames; the forces are those of stored frames, whose steps have paid for them."""
    found, _ = whole_step_velocities(problem.model, path.positions, path.velocities, offsets(path))
    return found
