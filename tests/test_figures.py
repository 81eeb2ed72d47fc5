"""What figures of the report are drawn from."""

import shutil
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from spacetime_tps.denoisers import score_matching
from spacetime_tps.denoisers.training import HELD_OUT
from spacetime_tps.report.data import RunData
from spacetime_tps.report.ensemble_figures import ENSEMBLE_FIGURES, _density
from spacetime_tps.report.figures import CIRCLE, FIGURES, PATHS_DRAWN, STYLE, free_energy, logarithmic, spans_of, training
from spacetime_tps.report.page import PAGE, write_report
from spacetime_tps.unbiased.ensemble import DENSITY
from spacetime_tps.units import thermal_energy


def test_the_map_shows_the_energy_that_boltzmann_weights_come_from() -> None:
    kT = thermal_energy(300.0)
    energy = np.array([[0.0, 12.5], [40.0, 3.0]])
    found = free_energy(0.3 * np.exp(-energy / kT), kT)
    np.testing.assert_allclose(found, energy, atol=1e-9)
    assert free_energy(np.array([1.0, 0.0]), kT)[1] == np.inf
    assert kT == pytest.approx(2.494, abs=1e-3)


def test_a_map_of_many_coordinates_is_drawn_from_paths_as_the_file_has_it_of_few(small_run: Path) -> None:
    run = RunData.of(small_run)
    data = run.arrays(DENSITY)
    found = _density(run, 0, 1, [data["edges_0"], data["edges_1"]])
    assert np.abs(found - data["density_0_1"]).sum() < 0.01, "but for frames that single precision puts into the next bin"


def test_ranges_of_angles_stay_in_the_circle_wherever_they_are() -> None:
    assert spans_of((150.0, 190.0), CIRCLE) == spans_of((150.0, -170.0), CIRCLE) == [(-180.0, -170.0), (150.0, 180.0)]
    assert spans_of((-20.0, 30.0), CIRCLE) == [(-20.0, 30.0)]
    assert spans_of(None, CIRCLE) == [CIRCLE]
    assert sum(high - low for low, high in spans_of((10.0, 10.0), CIRCLE)) == 360.0, "as a state's range has it"
    assert spans_of((0.1, 0.5), (0.2, 0.9)) == [(0.2, 0.5)]
    assert spans_of((0.1, 0.15), (0.2, 0.9)) == [], "nothing of it is shown"


def test_logarithmic_axes_are_labelled_in_plain_numbers() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1.0, 30.0], [0.02, 4000.0])
    for axis in (axes.xaxis, axes.yaxis):
        logarithmic(axis)
    figure.canvas.draw()
    assert [axes.get_xscale(), axes.get_yscale()] == ["log", "log"]
    shown = [label.get_text() for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels(which="both")]
    assert {"5", "20", "0.05", "2,000"} <= set(shown)
    assert not any("$" in text for text in shown)


def test_no_label_of_the_report_is_tex(small_run: Path) -> None:
    run = RunData.of(small_run)
    for name, draw in (FIGURES | ENSEMBLE_FIGURES | ({"training": training} if run.rounds["denoisers"] else {})).items():
        with mpl.rc_context(STYLE):
            figure = draw(run)
            figure.canvas.draw()
        texts = [found.get_text() for found in figure.findobj(Text)]
        assert texts, name
        assert not [text for text in texts if "$" in text], name


def test_a_report_takes_away_pictures_of_what_is_gone_and_its_words_are_the_constants(small_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(small_run, folder)
    (folder / "report/committor_of_another.png").write_bytes(b"x")
    write_report(folder)
    assert not (folder / "report/committor_of_another.png").exists()
    page = (folder / PAGE).read_text()
    assert f"up to {PATHS_DRAWN} guided paths" in page
    kept = [f"one in {HELD_OUT} of the weighted samples", f"one in {score_matching.HELD_OUT} windows held out"]
    assert all(words in page for words in kept) == bool(RunData.of(folder).rounds["denoisers"])
