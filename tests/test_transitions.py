"""Rows of transitions.csv: what is written comes back, and who has a weight."""

from pathlib import Path

from spacetime_tps.files import read_csv
from spacetime_tps.pipeline.transitions import FILE, Transition, read_transitions, write_transitions

PULLED = Transition("guided_r_0000", "guided", "ok", 1, 40.25, 257, 6400, 7, None, "r", "transitions/guided_r_0000.trr")
SHOT = Transition("unbiased_0", "unbiased", "ok", 1, 31.5, 12, 900, 8, 0.25, "r", "transitions/unbiased_0.trr")


def test_a_pulled_path_has_an_empty_weight(tmp_path: Path) -> None:
    write_transitions(tmp_path, [PULLED, SHOT])
    assert [r["weight"] for r in read_csv(tmp_path / FILE)] == ["", "0.25"]
    assert read_transitions(tmp_path) == [PULLED, SHOT]
