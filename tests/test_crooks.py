"""Work, dissipation and free energies of driven paths against exact cases: a dragged harmonic well, and a double well of 65 places whose
paths miss as well. Each assertion within 4 standard errors fails by chance once in 16,000; seeds are fixed.
"""

import math

import numpy as np
import pytest

from spacetime_tps.sampling.crooks import FEWEST_FRAMES, Drive, Restrained, dissipated_work, free_energy_difference, mean, work
from spacetime_tps.sampling.free_energy import bar

STIFF = 2.0
"""Of the well itself, U/kT = x^2 (STIFF / 2)"""
MEMORY = 0.7
"""Of x about its mean, from one change of the restraint to the next"""


def linear(center: np.ndarray, kappa: np.ndarray) -> np.ndarray:
    """eta (N, 2) of harmonic restraints kappa/2 (x - center)^2, with T = (x, x^2)."""
    return np.stack([kappa * center, -0.5 * kappa], axis=-1)


def dragged(eta: np.ndarray, paths: int, seed: int) -> np.ndarray:
    """Works (paths,) of a particle in the well under restraints (N, 2), from equilibrium under the first; its motion is exact."""
    rng = np.random.default_rng(seed)
    precision = STIFF - 2.0 * eta[:, 1]
    x = rng.normal(eta[0, 0] / precision[0], precision[0] ** -0.5, paths)
    frames = []
    for (first, _), p in zip(eta, precision, strict=True):
        x = first / p + MEMORY * (x - first / p) + rng.normal(0.0, math.sqrt((1.0 - MEMORY**2) / p), paths)
        frames.append(x)
    features = np.stack([np.array(frames).T, np.array(frames).T ** 2], axis=-1)
    return np.array([work(t, eta) for t in features])


def log_z(eta: np.ndarray) -> float:
    """log of the integral of exp(-U/kT + eta . T), up to a constant."""
    precision = STIFF - 2.0 * eta[1]
    return float(0.5 * eta[0] ** 2 / precision - 0.5 * math.log(precision))


DRAG = linear(np.linspace(-1.0, 2.0, 13), np.full(13, 6.0))


def lag(eta: np.ndarray) -> float:
    """Mean dissipated work one way of a well of constant stiffness: each change costs d_eta times the way to the new mean, and what is left
    of the old ones."""
    precision, behind, spent = STIFF - 2.0 * eta[0, 1], 0.0, 0.0
    for step in np.diff(eta[:, 0]):
        spent += step * (behind + 0.5 * step / precision)
        behind = MEMORY * (behind + step / precision)
    return spent


def test_a_dragged_well_dissipates_what_it_must() -> None:
    """Gaussian works: their mean is the difference and the dissipation, their variance twice the dissipation. The free-energy difference is
    that of the two wells; both ways dissipate the same."""
    forward, reverse = dragged(DRAG, 4000, 1), dragged(DRAG[::-1], 4000, 2)
    difference, spent = log_z(DRAG[0]) - log_z(DRAG[-1]), lag(DRAG)
    assert spent > 1.0
    for works, sign in ((forward, 1.0), (reverse, -1.0)):
        value, error = mean(works)
        assert value == pytest.approx(sign * difference + spent, abs=4 * error)
        assert error == pytest.approx(math.sqrt(2.0 * spent / 4000), rel=4 * math.sqrt(0.5 / 4000))
    value, error = dissipated_work(forward, reverse)
    assert value == pytest.approx(2.0 * spent, abs=4 * error)
    assert error == pytest.approx(math.sqrt(4.0 * spent / 4000), rel=0.05)
    found = bar(forward, reverse)
    assert found.value == pytest.approx(difference, abs=4 * found.error)
    assert abs(bar(-forward, -reverse).value - difference) > 40 * found.error, "a wrong sign shows"
    still = linear(np.full(13, -1.0), np.full(13, 6.0))
    assert dragged(still, 3, 1).tolist() == [0.0] * 3, "holding costs nothing"


@pytest.mark.parametrize("counts", [(4000, 4000), (6000, 1500)])
def test_a_tightened_well_has_its_free_energy(counts: tuple[int, int]) -> None:
    eta = linear(np.full(9, 1.0), np.geomspace(1.0, 30.0, 9))
    forward, reverse = dragged(eta, counts[0], 3), dragged(eta[::-1], counts[1], 4)
    found = bar(forward, reverse)
    assert found.value == pytest.approx(log_z(eta[0]) - log_z(eta[-1]), abs=4 * found.error)
    assert found.error < 0.1
    value, error = dissipated_work(forward, reverse)
    assert value > 4 * error


def test_the_error_of_bar_is_its_scatter() -> None:
    """Of 400 repetitions of 60 Gaussian works that dissipate 10 or 20 kT: 4 standard errors of a standard deviation are 14 %; the second
    has two shared paths in 60."""
    rng = np.random.default_rng(5)
    for spent, shared in ((10.0, 10.1), (20.0, 2.3)):
        each = rng.normal(0.5 * spent, math.sqrt(spent), (400, 2, 60))
        found = [bar(*works) for works in each]
        scatter = np.std([f.value / f.error for f in found])
        assert 0.86 < scatter < 1.25
        assert np.mean([f.shared for f in found]) == pytest.approx(shared, rel=0.2)
        assert np.mean([f.overlap for f in found]) == pytest.approx(shared / 60, rel=0.2)


def test_ensembles_that_share_nothing_have_an_infinite_error() -> None:
    found = bar(np.array([900.0, 950.0]), np.array([1000.0, 1100.0]))
    assert found.overlap == pytest.approx(0.0, abs=1e-12)
    assert found.error > 1e6
    same = bar(np.zeros(5), np.zeros(3))
    assert (same.value, same.overlap) == (pytest.approx(0.0), pytest.approx(1.0))
    assert same.error == pytest.approx(0.0, abs=1e-6)


# A double well -------------------------------------------------------------------------------------------------------------------------

X = np.linspace(-1.7, 1.7, 65)
U = 5.0 * (X**2 - 1.0) ** 2 + 1.2 * X
A, B = X < -0.7, X > 0.6
T = np.stack([X, X**2], axis=-1)
SOFT = linear(np.linspace(-1.0, 1.0, 8), np.linspace(5.0, 2.5, 8))
HOLD = 6
"""Points at which the last restraint is held"""
SCHEDULE = np.concatenate([SOFT, np.repeat(SOFT[-1:], HOLD, axis=0)])
EXACT = float(np.log(np.exp(-U[A]).sum() / np.exp(-U[B]).sum()))


def chain(eta: np.ndarray, steps: int) -> np.ndarray:
    """Transition matrix of Metropolis steps to neighbours under a restraint: detailed balance, so that Crooks' theorem is exact."""
    bias = -U + T @ eta
    move = np.diag(0.5 * np.minimum(1.0, np.exp(np.diff(bias))), 1) + np.diag(0.5 * np.minimum(1.0, np.exp(-np.diff(bias))), -1)
    return np.linalg.matrix_power(move + np.diag(1.0 - move.sum(1)), steps)


def drawn(inside: np.ndarray, eta: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Places (count,) in equilibrium under a restraint, within a state."""
    weight = np.where(inside, np.exp(-U + T @ eta), 0.0)
    return rng.choice(len(X), count, p=weight / weight.sum())


def driven(eta: np.ndarray, begin: np.ndarray, end: np.ndarray, paths: int, seed: int, *, steps: int = 400) -> Drive:
    rng = np.random.default_rng(seed)
    at = drawn(begin, eta[0], paths, rng)
    frames = [at]
    for point in eta:
        at = (chain(point, steps).cumsum(1)[at] < rng.random((paths, 1))).sum(1)
        frames.append(at)
    made = np.concatenate([eta[:1], eta])
    works = np.array([work(T[path], made) for path in np.array(frames).T])
    plain = drawn(begin, np.zeros(2), 2 * paths, rng)
    return Drive(works, end[at], np.split(T[plain] @ eta[0], 4))


@pytest.mark.parametrize("schedule", [SCHEDULE, SOFT], ids=["held", "not held"])
def test_A_and_B_differ_by_the_free_energy_of_the_landscape(schedule: np.ndarray) -> None:
    """Not all paths connect. All that the formula is made of shows where it is left out."""
    forward, reverse = driven(schedule, A, B, 8000, 6), driven(schedule[::-1], B, A, 6000, 7)
    found = free_energy_difference(forward, reverse)
    assert found.value == pytest.approx(EXACT, abs=4 * found.error)
    assert found.error < 0.1
    hits = [float(d.hit.mean()) for d in (forward, reverse)]
    assert max(hits) < 0.95
    assert abs(math.log(hits[0] / hits[1])) > 8 * found.error, "the shares of hits count"
    for end in (found.in_a, found.in_b):
        assert abs(end.value) > 8 * found.error, "the ends count"
    everyone = bar(forward.work, reverse.work).value + found.in_a.value - found.in_b.value
    assert abs(everyone - EXACT) > 8 * found.error, "paths that miss do not"
    assert dissipated_work(forward.work, reverse.work)[0] > 0.0


def test_a_drive_back_that_is_no_mirror_image_shows() -> None:
    forward = driven(SCHEDULE, A, B, 8000, 6)
    unheld = driven(np.concatenate([SOFT[::-1], np.repeat(SOFT[:1], HOLD, axis=0)]), B, A, 8000, 8)
    found = free_energy_difference(forward, unheld)
    assert abs(found.value - EXACT) > 6 * found.error


def test_stated_errors_are_the_scatter_over_repetitions() -> None:
    """40 paths a way, 100 times: 4 standard errors of a standard deviation are 28 %."""
    found = [free_energy_difference(driven(SCHEDULE, A, B, 40, 100 + k), driven(SCHEDULE[::-1], B, A, 40, 900 + k)) for k in range(100)]
    score = np.array([(f.value - EXACT) / f.error for f in found])
    assert 0.72 < score.std() < 1.28
    assert abs(score.mean()) < 0.4


def test_the_cost_of_a_restraint_knows_that_frames_are_correlated() -> None:
    """x of variance one, four walks of 3,000 frames with a memory of 20, under a restraint of precision 3 about 1.2: 120 times."""
    restraint, rng = linear(np.array([1.2]), np.array([3.0]))[0], np.random.default_rng(11)
    stay, found = math.exp(-1.0 / 20.0), []
    x, walks = rng.normal(size=(120, 4)), []
    for _ in range(3000):
        x = stay * x + math.sqrt(1.0 - stay**2) * rng.normal(size=x.shape)
        walks.append(x)
    for walk in np.moveaxis(np.array(walks), 0, -1):
        found.append(Restrained.of([np.stack([one, one**2], axis=-1) @ restraint for one in walk]))
    precision = 1.0 - 2.0 * restraint[1]
    exact = -(0.5 * restraint[0] ** 2 / precision - 0.5 * math.log(precision))
    score = np.array([(f.value - exact) / f.error for f in found])
    assert abs(score.mean()) < 0.4
    assert 0.75 < score.std() < 1.25  # 4 standard errors of a standard deviation are 26 per cent
    apart = Restrained.of([np.zeros(10), np.full(10, 9.0)])
    assert apart.frames < FEWEST_FRAMES, "one of two walks has it all"
