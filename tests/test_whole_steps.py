"""Velocities at whole steps from those that OpenMM keeps, against positions alone."""

from dataclasses import replace

import numpy as np
import pytest

from spacetime_tps.engines.openmm.dynamics import FREE, Dynamics, Walk
from spacetime_tps.engines.openmm.whole_steps import whole_step_velocities
from spacetime_tps.trajectories.frames import offsets, time_reversed


@pytest.mark.parametrize("turned", [False, True])
def test_they_are_the_central_differences_of_a_leapfrog(rotor, turned: bool) -> None:
    """Without friction LangevinMiddle is leapfrog, where (x(t + dt) - x(t - dt)) / 2 dt is the velocity at t, whichever way time runs.
    Positions are float32, 1e-8 nm, over 4 fs."""
    model, _, x = rotor
    still = replace(model, friction=0.0)
    frames = Dynamics(still).walk(Walk(None, FREE, 40, 1, 3, x))
    frames = time_reversed(frames) if turned else frames
    found, evaluations = whole_step_velocities(still, frames.positions, frames.velocities, offsets(frames))
    central = (frames.positions[2:].astype(float) - frames.positions[:-2]) / (2.0 * still.timestep)
    np.testing.assert_allclose(found[1:-1], central, atol=2e-5)
    assert np.abs(frames.velocities[1:-1] - central).max() > 0.01, "as they are kept they differ"
    assert evaluations == len(frames)
