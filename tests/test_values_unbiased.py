"""Shooting batches of a molecule that may break on the way: what is left out, and that it is counted."""

import numpy as np
from hinge import A, B, Here, handed, placed

from spacetime_tps.shooting.batches import Batch
from spacetime_tps.states.ends import IN_A, IN_B
from spacetime_tps.unbiased.engine import OpenMMShooting
from spacetime_tps.unbiased.settings import UnbiasedSettings
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.window import Window

SETTINGS = UnbiasedSettings(paths=9, walkers=4, stride=25, spacing=5, gap=50, shots=2, longest=2000)
TOP = Window(Angle("phi", 4, 0, 1), 0.0, 60.0)


def test_where_the_molecule_is_broken_nothing_is_shot_kept_or_begun() -> None:
    problem = handed()
    starts = [(placed(0.0, psi)[0], np.zeros((5, 3))) for psi in (20.0, 20.0, 90.0, -40.0)]
    with Here(problem) as simulation:
        engine = OpenMMShooting(problem, simulation, SETTINGS, seed=3)
        batch = engine.batch(0, 0, TOP, starts, points=8, pilot=True, discard=100, onward=1.0)
        names = simulation.storage.names("samples/region/*.trr")
        frames = [simulation.storage.frames(name)[0].astype(float) for name in names]
        ends = engine.ends(0, 0)
        kept = [simulation.storage.frames(f"transitions/{name}.trr")[0] for name in batch.path_name]
        (again,) = engine.done(0)
    assert [len(x) for x in frames] == [16] * 4, "every 25 steps of 8 x 50"
    holds = [problem.integrity.holds(x) for x in frames]
    points = [(k, at) for k in range(4) for at in range(1, 16, 2)]
    whole = [(k, at) for k, at in points if holds[k][at]]
    assert 0 < len(whole) < len(points)
    assert list(zip(batch.point_walk.tolist(), batch.point_frame.tolist(), strict=True)) == whole
    assert batch.shot_point.tolist() == np.repeat(np.arange(len(whole)), 2).tolist()
    assert batch.walk.tolist() == [k for k in range(4) for _ in range(holds[k].sum())]
    np.testing.assert_allclose(batch.features, problem.coordinates.features(np.concatenate(frames)[np.concatenate(holds)]))
    # A reactive shot whose path breaks is the same as a point that is: nothing of it is kept, and it is counted.
    reactive = [k for k in range(len(whole) * 2) if {batch.shot_forward[k], batch.shot_backward[k]} == {IN_A, IN_B}]
    lost = sorted(set(reactive) - set(batch.path_shot.tolist()))
    assert 0 < len(kept) < len(reactive)
    assert batch.broken == 2 * (len(points) - len(whole)) + len(lost)
    for path in kept:
        assert problem.integrity.holds(path).all()
        assert A.contains(path)[0]
        assert B.contains(path)[-1]
    for (x, _), at, held in zip(ends, frames, holds, strict=True):
        np.testing.assert_array_equal(x, at[np.flatnonzero(held)[-1]] if held.any() else at[0])
    assert isinstance(again, Batch)
    assert batch.evaluations == again.evaluations > 0
    assert batch.walk_evaluations == 4 * 500
