"""A whole run in memory, in seconds, on a molecule whose landscape is known: what each stage gives agrees with integrals over it, with the
other stages' values, and with itself when it is read back."""

import io
import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hinge import PHI, PLANE, PSI, A, B, Here, hinge, placed

from spacetime_tps.coordinates.circle import difference
from spacetime_tps.denoisers.potential import load as load_network
from spacetime_tps.exploration.route import DISAGREEMENT
from spacetime_tps.exploration.sampled import Sampled
from spacetime_tps.pipeline.summary import summarise
from spacetime_tps.sampling.comparison import effective_number
from spacetime_tps.settings import Settings, parse_settings
from spacetime_tps.stages.driver import run_stages
from spacetime_tps.states.state import State
from spacetime_tps.states.torsion_range import TorsionRange
from spacetime_tps.storage.protocol import Storage
from spacetime_tps.unbiased.committors import TRIAL_COLUMNS, CommittorTrials
from spacetime_tps.unbiased.engine import OpenMMShooting
from spacetime_tps.unbiased.ensemble import Unbiased
from spacetime_tps.unbiased.routes import route_frames
from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.window import Window

PROBLEM = hinge()
SMALL = [
    "training.walks=2", "training.steps_a=2000", "training.steps_b=1500", "training.equilibration_steps=100", "training.pool_stride=2",
    "seed=4",
    "windows.count=12", "windows.steps=500", "windows.discard=200", "windows.stride=10", "rounds.max_rounds=2", "rounds.quenches=2",
    "geodesic.points=24", "geodesic.nodes=8", "geodesic.evaluations=15", "guided.paths=3", "guided.points=24", "guided.steps_per_point=25",
    "steered.paths=1", "denoiser.components=0", "unbiased.paths=20", "unbiased.walkers=2", "unbiased.equilibration=200",
    "unbiased.points=4", "unbiased.gap=50", "unbiased.rung_steps=300", "unbiased.states=2", "unbiased.state_shots=3",
    "unbiased.longest=5000", "unbiased.margin_kT=0",
]  # fmt: skip


def settings(*more: str) -> Settings:
    return parse_settings([*SMALL, *more])


@dataclass(frozen=True)
class Ran:
    simulation: Here
    values: dict[str, Any]

    @property
    def sampled(self) -> Sampled:
        found = self.values["exploration"]
        assert isinstance(found, Sampled)
        return found

    @property
    def unbiased(self) -> Unbiased:
        found = self.values["unbiased"]
        assert isinstance(found, Unbiased)
        return found

    @property
    def storage(self) -> Storage:
        return self.simulation.storage


@pytest.fixture(scope="module")
def ran() -> Ran:
    simulation = Here(PROBLEM)
    return Ran(simulation, run_stages(PROBLEM, simulation, settings()))


@cache
def moments(kappa: float, center: float, which: int) -> tuple[float, float, float]:
    """Integral of exp(kappa cos(x - center)) over the Boltzmann distribution of a torsion, and the mean of cosine and sine there."""
    x = np.linspace(-math.pi, math.pi, 2001)[:-1]
    energy = (PHI * (1.0 + np.cos(2.0 * x)), PSI * (1.0 - np.cos(x - math.radians(20.0))))[which]
    weight = np.exp(-energy / PROBLEM.model.kT)
    tilted = weight / weight.sum() * np.exp(kappa * np.cos(x - center))
    total = tilted.sum()
    return float(total), float((tilted * np.cos(x)).sum() / total), float((tilted * np.sin(x)).sum() / total)


def free_energy(eta: np.ndarray) -> np.ndarray:
    """-psi, kT, of each eta (K, 4)."""
    return np.array([
        -sum(math.log(moments(math.hypot(*pair), math.atan2(pair[1], pair[0]), k)[0]) for k, pair in enumerate((e[:2], e[2:]))) for e in eta
    ])  # fmt: skip


def confined_mean(eta: np.ndarray) -> np.ndarray:
    """mu (K, 4) of each eta (K, 4)."""
    return np.array([
        [m for k, p in enumerate((e[:2], e[2:])) for m in moments(math.hypot(*p), math.atan2(p[1], p[0]), k)[1:]] for e in eta
    ])  # fmt: skip


def confined(eta: np.ndarray) -> np.ndarray:
    """KL(p_eta || p_0), kT, of each eta (K, 4)."""
    return np.asarray((eta * confined_mean(eta)).sum(-1) + free_energy(eta))


# The exploration ----------------------------------------------------------------------------------------------------------------------


def test_windows_have_the_free_energies_of_the_landscape(ran: Ran) -> None:
    """MBAR over a few thousand correlated frames. The seed is fixed; of five that were tried one missed 1.2 kT at a window."""
    w = ran.sampled.windows
    np.testing.assert_allclose(w["free_energy"], free_energy(w["eta"]), atol=1.2)
    assert np.abs(w["free_energy"] - free_energy(w["eta"])).mean() < 0.5
    f = ran.sampled.free_energy
    for way, error in (("free_energy_kT", 1.2), ("forward_kT", 3.0), ("backward_kT", 3.0)):
        assert f[way][0] == 0.0
        np.testing.assert_allclose(f[way] - f[way].mean(), free_energy(f["eta"]) - free_energy(f["eta"]).mean(), atol=error)
    assert f["error_kT"][0] == 0.0
    assert (f["error_kT"][1:] > 0).all()
    np.testing.assert_allclose(f["overlap"].sum(axis=1), 1.0)


def test_windows_are_told_set_by_set(ran: Ran) -> None:
    w, sets = ran.sampled.windows, ran.sampled.record["windows"]
    assert len({len(column) for column in w.values()}) == 1
    told = [(s["round"], s["route"]) for s in sets]
    assert sorted(set(zip(w["round"].tolist(), w["route"].tolist(), strict=True))) == sorted(told)
    for s in sets:
        mine = (w["round"] == s["round"]) & (w["route"] == s["route"])
        assert mine.sum() == 12
        assert np.isnan(w["overlap"][mine][-1])
        assert w["overlap"][mine][:-1].min() == pytest.approx(s["lowest_overlap"])
        assert np.abs(w["forward"][mine] - w["backward"][mine]).max() == pytest.approx(s["forward_backward_kT"])
        assert w["frames"][mine].tolist() == [2 * 30] * 12  # both ways, every 10 of 300 steps
        if s["round"] == 1:  # of the straight curve at the floor
            np.testing.assert_allclose(PLANE.family().precisions(torch.from_numpy(w["eta"][mine]))[2:-2], 40.0)


def test_curves_have_the_weighted_frames_of_their_class(ran: Ran) -> None:
    w = ran.sampled.windows
    assert [len(c.counts) for c in ran.sampled.curves] == [26, 26]
    for curve in ran.sampled.curves:
        weight = np.exp(curve.log_weight)
        assert weight.sum() == pytest.approx(1.0)
        assert len(weight) == curve.counts.sum() == len(curve.positions) == len(curve.velocities)
        np.testing.assert_allclose(curve.features, PLANE.features(curve.positions), atol=1e-6)
        np.testing.assert_array_equal(curve.ensembles[:2], 0.0)
        ends = np.cumsum(curve.counts)
        assert A.contains(curve.positions[: ends[0]]).all()
        assert B.contains(curve.positions[ends[0] : ends[1]]).all()
        sums = [weight[end - count : end].sum() for end, count in zip(ends, curve.counts, strict=True)]
        mine = w["route"] == curve.route
        np.testing.assert_array_equal(w["eta"][mine], curve.ensembles[2:])
        np.testing.assert_array_equal(w["frames"][mine], curve.counts[2:])
        np.testing.assert_allclose(w["weight"][mine], sums[2:])
        assert sums[0] + sums[1] + w["weight"][mine].sum() == pytest.approx(1.0)
        in_a = weight[A.contains(curve.positions)].sum()
        assert in_a == pytest.approx(weight[B.contains(curve.positions)].sum(), rel=0.5), "A and B are alike"
    assert set(w["route"].tolist()) == {c.route for c in ran.sampled.curves} == {"phi+180", "phi-180"}


def test_routes_are_what_their_curves_say(ran: Ran) -> None:
    family = PLANE.family()
    assert ran.sampled.ranks == [1, 2]
    for arrays, curve, told in zip(ran.sampled.routes, ran.sampled.curves, ran.sampled.record["routes"], strict=True):
        eta = torch.from_numpy(arrays["eta"])
        assert str(arrays["name"]) == curve.route == told["name"]
        np.testing.assert_array_equal(curve.eta, arrays["eta"])
        np.testing.assert_array_equal(curve.cost, arrays["kl_kT"])
        np.testing.assert_allclose(arrays["level"], family.level(eta))
        np.testing.assert_allclose(arrays["precision"], family.precisions(eta))
        np.testing.assert_allclose(difference(arrays["center"], family.center(eta).numpy(), family.angular), 0.0, atol=1e-12)
        assert float(arrays["length"]) == pytest.approx(np.sqrt(arrays["segment"]).sum()) == told["length"]
        assert float(arrays["energy"]) == pytest.approx(0.5 * 23 * arrays["segment"].sum()) == told["energy"]
        np.testing.assert_allclose(arrays["kl_kT"], confined(arrays["eta"]), atol=1.5)
        assert told["barrier_kT"] == arrays["kl_kT"].max()
        assert told["largest_segment"] == arrays["segment"].max()
        np.testing.assert_allclose(arrays["segment"], (np.diff(arrays["eta"], axis=0) * np.diff(arrays["mu"], axis=0)).sum(-1), rtol=1e-9)
        np.testing.assert_allclose(arrays["mu"], confined_mean(arrays["eta"]), atol=0.15)
        np.testing.assert_array_equal(arrays["mu_denoiser"], arrays["mu"])
        assert told["effective_samples"] == arrays["n_eff"].min()
        assert (told["rounds"], told["nearness"]) == (2, [])
        last = [s for s in ran.sampled.record["windows"] if s["route"] == curve.route][-1]
        assert (told["lowest_overlap"], told["forward_backward_kT"]) == (last["lowest_overlap"], last["forward_backward_kT"])
        np.testing.assert_allclose(difference(family.center(eta[[0, -1]]).numpy(), np.array(PROBLEM.ends), family.angular), 0.0, atol=1e-6)
    barriers = [r["barrier_kT"] for r in ran.sampled.record["routes"]]
    assert barriers == sorted(barriers)
    np.testing.assert_array_equal(ran.storage.arrays("geodesic.npz")["eta"], ran.sampled.routes[0]["eta"])


def test_what_the_exploration_took_is_counted(ran: Ran) -> None:
    spent = ran.sampled.record["evaluations"]
    assert spent["training_md"] == 4 * 100 + 2 * 3500
    windows = 4 * 2 * 12 * 500
    assert windows < spent["windows"] < windows + 1000, "and the quenches"
    assert spent["geodesic"] == 0
    assert [len(f) for f in ran.sampled.in_a] == [2000 // 25] * 2
    assert len(ran.sampled.record["length"]) == 2
    assert ran.sampled.record["length"][-1] == ran.sampled.record["routes"][0]["length"]
    assert ran.sampled.record["kappa_floor"] == 40.0
    assert ran.sampled.record["denoisers"] == []
    titles = [title for title, *_ in ran.simulation.told.tasks]
    assert titles[:3] == ["MD in both ends", "round 1: windows, routes followed: 2", "round 2: windows, routes followed: 2"]
    assert all(ahead == sum(done) for _, ahead, done in ran.simulation.told.tasks)


def test_a_network_trained_in_a_run_has_the_moments_of_the_landscape_and_tells_its_error(tmp_path: Path) -> None:
    simulation = Here(PROBLEM)
    found = run_stages(PROBLEM, simulation, settings("denoiser.network_from=2", "denoiser.network_steps=400", "guided.paths=0"))
    sampled = found["exploration"]
    (told,) = sampled.record["denoisers"]
    unseen = told["unseen_windows"]
    assert unseen["windows"] == 3, "every eighth ensemble of two rounds of twelve windows, and the two ends, of one class"
    assert 0.0 < unseen["denoiser"] < 3.0 * unseen["standard_error"]
    (line,) = [line for line in simulation.told.lines if line.startswith("denoiser trained")]
    assert f"off 3 unseen windows by {unseen['denoiser']:.3f} of the thermal spread" in line
    (tmp_path / "denoiser.pt").write_bytes(sampled.denoiser)
    denoiser = load_network(tmp_path / "denoiser.pt", PLANE.family())
    (route,) = [r for r in sampled.routes if str(r["name"]) == told["route"]]
    differ = np.linalg.norm(route["mu_denoiser"] - route["mu"], axis=-1)
    differ = differ / np.sqrt(PLANE.family().spread(torch.from_numpy(route["mu"])).sum(-1).numpy())
    assert (told["along_curve"]["median"], told["along_curve"]["largest"]) == pytest.approx(
        (np.sort(differ)[(len(differ) - 1) // 2], differ.max())
    )
    assert 0.0 < told["along_curve"]["largest"] < 1.0
    along = f"  along {told['route']} the trained denoiser is {told['along_curve']['median']:.3f} of the thermal spread"
    assert any(line.startswith(along) for line in simulation.told.lines)
    eta = sampled.curves[0].ensembles[2:]
    exact = confined_mean(eta)
    spread = np.sqrt(PLANE.family().spread(torch.from_numpy(exact)).sum(-1).numpy())
    got = denoiser.moments(torch.from_numpy(eta))
    assert np.median(np.linalg.norm(got.mean.numpy() - exact, axis=-1) / spread) < 0.25
    assert np.abs(got.log_partition.numpy() + free_energy(eta)).mean() < 1.0, "kT"


def test_the_denoiser_is_the_weighted_frames_of_the_best_class(ran: Ran) -> None:
    content = torch.load(io.BytesIO(ran.sampled.denoiser), weights_only=True)
    assert content["kind"] == "weighted_samples"
    np.testing.assert_array_equal(content["features"], ran.sampled.curves[0].features)
    np.testing.assert_array_equal(content["log_weights"], ran.sampled.curves[0].log_weight)


def same(x: Any, y: Any) -> None:
    """Whether plain data, arrays and frames are equal; text for what a table made of it."""
    if hasattr(x, "__dataclass_fields__"):
        same(vars(x), vars(y))
    elif isinstance(x, dict):
        assert set(x) == set(y)
        for key in x:
            same(x[key], y[key])
    elif isinstance(x, list | tuple):
        assert len(x) == len(y)
        for one, other in zip(x, y, strict=True):
            same(one, other)
    elif isinstance(x, np.ndarray):
        np.testing.assert_array_equal(x, y)
    elif isinstance(y, str):
        assert str(x) == y
    else:
        assert x == y


def test_what_is_saved_is_loaded(ran: Ran) -> None:
    again = Sampled.load(ran.simulation)
    same(ran.sampled, again)
    same(ran.unbiased, Unbiased.load(ran.storage))
    values = run_stages(PROBLEM, ran.simulation, settings())
    before = len(ran.simulation.asked)
    same(values["guided"], ran.values["guided"])
    same(values["steered"], ran.values["steered"])
    assert len(ran.simulation.asked) == before


# Paths --------------------------------------------------------------------------------------------------------------------------------


def test_guided_and_steered_paths_go_where_they_are_driven(ran: Ran) -> None:
    guided, steered = ran.values["guided"], ran.values["steered"]
    assert [r.route for r in guided] == [ran.sampled.curves[0].route] * 3
    assert steered[0].route == "straight"
    for row in (*guided, *steered):
        assert (row.evaluations, row.n_frames) == (27 * 25, 28)
        x, _ = ran.storage.frames(row.file)
        assert A.contains(x[0])
        assert row.hit == B.contains(x[-1])
    assert sum(r.hit for r in guided) >= 2


def test_unbiased_paths_are_transitions_with_weights(ran: Ran) -> None:
    rows, record = ran.unbiased.rows, ran.unbiased.record
    weight = np.array([r.weight for r in rows])
    assert weight.sum() == pytest.approx(len(rows))
    assert effective_number(weight) == pytest.approx(record["effective_paths"])
    assert record["effective_paths"] >= 20
    for row in rows:
        x, _ = ran.storage.frames(row.file)
        assert A.contains(x).tolist() == [True] + [False] * (len(x) - 1)
        assert B.contains(x).tolist() == [False] * (len(x) - 1) + [True]
        assert (row.stage, row.hit, row.status, row.n_frames) == ("unbiased", 1, "ok", len(x))
        turn = np.unwrap(PLANE.values(x), axis=0)
        phi, *psi = row.route.split("_")
        assert phi == ("phi+180" if turn[-1, 0] > turn[0, 0] else "phi-180")
        assert len(psi) == (abs(turn[-1, 1] - turn[0, 1]) > np.pi), "which turns freely, and may go right round"
    assert record["max_energy_kj_mol"]["value"] == pytest.approx(np.average([r.max_energy_kj_mol for r in rows], weights=weight))
    assert record["duration_ps"]["value"] == pytest.approx(np.average([(r.n_frames - 1) * 0.05 for r in rows], weights=weight))
    assert sum(r["share"]["value"] for r in record["routes"].values()) == pytest.approx(1.0)
    assert record["separating"]
    assert record["max_energy_kj_mol"]["value"] > 12.0 - 10.0 + 2.0, "the barrier above zero, and heat"
    assert record["transition_states"] == (0 if ran.unbiased.states is None else len(ran.unbiased.states))


def test_shots_are_told_one_by_one(ran: Ran) -> None:
    shots, record = ran.unbiased.shots, ran.unbiased.record
    mine = [s for s in shots if s["purpose"] != "committor"]
    assert record["shots"] == len(mine)
    assert record["evaluations"]["unbiased"] == sum(int(s["evaluations"]) for s in shots)
    walks = ran.storage.record("samples/region/walks.json")
    assert record["evaluations"]["region"] == sum(w["evaluations"] for w in walks.values())
    reactive = {s["path"]: s for s in mine if s["path"]}
    assert set(reactive) == {r.path for r in ran.unbiased.rows}
    for row in ran.unbiased.rows:
        shot = reactive[row.path]
        assert {shot["forward"], shot["backward"]} == {"A", "B"}
        assert (int(shot["seed"]), int(shot["evaluations"]), float(shot["weight"])) == (row.seed, row.evaluations, row.weight)
    assert all({s["forward"], s["backward"]} != {"A", "B"} and float(s["weight"]) == 0.0 for s in mine if not s["path"])
    assert len({s["shot"] for s in shots}) == len(shots)
    assert len({s["seed"] for s in shots}) == len(shots)
    assert {s["purpose"] for s in shots} == {"pilot", "ensemble", "committor"}
    assert {int(s["first"]) for s in shots} == {5, 10, 15, 20, 25}
    assert Counter((s["walk"], s["frame"]) for s in mine).most_common(1)[0][1] == 2, "two from each point"
    for s in shots:
        x, _ = ran.storage.frames(f"samples/region/{s['walk']}.trr")
        assert int(s["frame"]) % 2 == (len(x) - 1) % 2, "points are 50 steps apart, frames 25"
    tops = {(s["crossing"], s["window_variable"], round(abs(float(s["window_center"])) / 180.0)) for s in mine}
    assert {t[:2] for t in tops} == {("0", "phi")}


def test_committors_are_the_share_of_shots_that_reach_B(ran: Ran) -> None:
    """Both torsions' terms are even about the top in phi: the committor is one half there and falls and rises on either side."""
    ends: dict[tuple[str, int, bool], list[str]] = {}
    for s in ran.unbiased.shots:
        if int(s["evaluations"]):
            ends.setdefault((s["walk"], int(s["frame"]), s["purpose"] == "committor"), []).extend((s["forward"], s["backward"]))
    table = ran.unbiased.committors
    for p in table:
        x = ran.storage.frames(f"samples/region/{p['walk']}.trr")[0][int(p["frame"])]
        phi, psi = np.degrees(PLANE.values(x))
        assert float(p["phi_degrees"]) == pytest.approx(phi, abs=0.01) == pytest.approx(float(p["variable"]), abs=0.02)
        assert float(p["psi_degrees"]) == pytest.approx(psi, abs=0.01)
        for again in (False, True):
            mine = ends.get((p["walk"], int(p["frame"]), again), [])
            reached, trials, value, low, high = (p[f"again_{c}" if again else c] for c in TRIAL_COLUMNS)
            assert (int(reached), int(trials)) == (mine.count("B"), len(mine) - mine.count("none"))
            if int(trials):
                assert float(value) == pytest.approx(int(reached) / int(trials), abs=1e-4)
                assert 0.0 <= float(low) <= float(value) <= float(high) <= 1.0
            else:
                assert (value, low, high) == ("nan", "nan", "nan")
    again = [int(p["again_trials"]) for p in table]
    assert sum(n > 0 for n in again) == 2
    assert max(again) == 6
    trials = CommittorTrials.read(ran.storage)
    assert len(trials.seed) == sum(s["purpose"] == "committor" for s in ran.unbiased.shots) == 2 * 3
    told = {(int(s["seed"]), int(s["evaluations"])) for s in ran.unbiased.shots if s["purpose"] == "committor"}
    assert set(zip(trials.seed.tolist(), trials.evaluations.tolist(), strict=True)) == told


def test_frames_of_a_route_are_what_shots_start_from(ran: Ran) -> None:
    curve = ran.sampled.curves[0]
    whole = np.ones(len(curve.positions), dtype=bool)
    whole[[0, 3]] = False
    found = route_frames(curve, PROBLEM, whole)
    first = int(curve.counts[0])
    np.testing.assert_array_equal(found.plain, np.setdiff1d(np.arange(first), [0, 3]))
    np.testing.assert_array_equal(found.in_a, A.contains(curve.positions))
    x, v = found.start(5)
    np.testing.assert_array_equal(x, curve.positions[5])
    np.testing.assert_array_equal(v, curve.velocities[5])
    assert len(found.windows) == 24
    third = slice(int(curve.counts[:4].sum()), int(curve.counts[:5].sum()))
    window = found.windows[2]
    np.testing.assert_array_equal(window.features, curve.features[third])
    np.testing.assert_allclose(window.log_factor(curve.features), curve.features @ curve.ensembles[4])
    np.testing.assert_array_equal(window.walk, 2)
    np.testing.assert_array_equal(window.in_a, found.in_a[third])


def test_a_route_that_rests_between_the_states_says_where(ran: Ran) -> None:
    """The curve to B and back again, for a B that is somewhere else: the well at 90 degrees is then neither state."""
    curve = ran.sampled.curves[0]
    whole = np.ones(len(curve.positions), dtype=bool)
    assert route_frames(curve, PROBLEM, whole).third_basin == ""
    assert [route_frames(curve, PROBLEM, whole, disagreement=kT).untrusted for kT in (DISAGREEMENT, 215.4)] == [
        "",
        "its windows walked from A and from B differ by 215 kT",
    ]
    back = replace(curve, eta=np.concatenate([curve.eta, curve.eta[::-1]]), cost=np.concatenate([curve.cost, curve.cost[::-1]]))
    elsewhere = replace(PROBLEM, b=State(((TorsionRange((0, 1, 2, 3), 150.0, 151.0),),)))
    assert route_frames(back, PROBLEM, whole).third_basin == "", "that is B"
    place = route_frames(back, elsewhere, whole).third_basin
    assert place.startswith("phi ")
    assert ", psi " in place
    assert float(place.split(",")[0].removeprefix("phi ")) == pytest.approx(90.0, abs=10.0)


def test_a_ladder_is_walked_from_both_ends_and_told_from_A_up() -> None:
    """Three windows of 300 steps, of which a third is left out: 8 frames a walk and window. The first walk goes down, the other up."""
    windows = [Window(Angle("phi", 4, 0, 1), math.radians(c), 100.0) for c in (-30.0, -50.0, -70.0)]
    with Here(PROBLEM) as simulation:
        engine = OpenMMShooting(PROBLEM, simulation, settings().unbiased, seed=7)
        starts = [(placed(c, 20.0)[0], np.zeros((5, 3))) for c in (-30.0, -70.0)]
        found, evaluations = engine.ladder(3, windows, starts[:1], starts[1:])
        down, up = simulation.asked
        names = simulation.storage.names("samples/region/*.trr")
    assert names == ["samples/region/3_ladder_0.trr", "samples/region/3_ladder_1.trr"]
    assert (down.steps, down.discard, down.stride, down.friction) == (300, 100, 25, 4.0)
    np.testing.assert_allclose(np.degrees(down.schedule[:, 0]), [-30.0, -50.0, -70.0])
    np.testing.assert_allclose(np.degrees(up.schedule[:, 0]), [-70.0, -50.0, -30.0])
    np.testing.assert_array_equal(down.positions, starts[0][0])
    np.testing.assert_array_equal(up.positions, starts[1][0])
    assert down.seed != up.seed
    assert evaluations == 2 * 3 * 300
    for ensemble, window in zip(found, windows[::-1], strict=True):
        assert ensemble.walk.tolist() == [0] * 8 + [1] * 8
        for walk in (0, 1):
            at = np.degrees(window.variable.value(ensemble.features[ensemble.walk == walk]))
            assert abs(at.mean() - math.degrees(window.center)) < 12.0  # of a deviation of 5.7 degrees
        np.testing.assert_array_equal(ensemble.log_factor(ensemble.features), window.log_factor(ensemble.features))
        np.testing.assert_array_equal(ensemble.in_a, np.degrees(window.variable.value(ensemble.features)) < -60.0)


def test_the_summary_is_of_these_values(ran: Ran) -> None:
    got = summarise("hinge", PROBLEM, ran.storage, settings(), ran.values)
    assert got["evaluations"]["total"] == sum(v for k, v in got["evaluations"].items() if k != "total")
    ahead = len(ran.simulation.asked)
    assert ahead > 50
    assert got["stages"]["guided"]["paths"] == 3
    assert got["unbiased"]["effective_paths"] == ran.unbiased.record["effective_paths"]
    assert got["embedded_reference"]["value"] > got["unbiased"]["max_energy_kj_mol"]["value"] - 1e-9


def test_more_is_made_of_what_is_there_and_other_settings_start_anew(ran: Ran) -> None:
    """The last test of this file: it goes on with the run."""
    before = {s["shot"]: s for s in ran.unbiased.shots if s["purpose"] != "committor"}
    shot = len(ran.simulation.asked)
    values = run_stages(
        PROBLEM, ran.simulation, settings(f"unbiased.paths={int(ran.unbiased.record['effective_paths']) + 1}", "guided.paths=4")
    )
    more = values["unbiased"]
    assert more.record["effective_paths"] > ran.unbiased.record["effective_paths"]
    after = {s["shot"]: s for s in more.shots}
    assert all(after[name]["seed"] == s["seed"] for name, s in before.items())
    assert len(after) > len(before)
    assert [r.path for r in values["guided"][:3]] == [r.path for r in ran.values["guided"]]
    assert sum(hasattr(task, "schedule") and len(task.schedule) == 27 for task in ran.simulation.asked[shot:]) == 1
    anew = run_stages(PROBLEM, ran.simulation, settings("unbiased.paths=2", "unbiased.stiffness=90"))["unbiased"]
    assert {float(s["window_stiffness"]) for s in anew.shots if s["purpose"] != "committor"} == {90.0}
    assert len(ran.storage.names("transitions/unbiased_*.trr")) == len(anew.rows) < len(more.rows)
    assert any("unbiased have changed" in line for line in ran.simulation.told.lines)
