"""The benchmark of stated errors: scatter over seeds, over what runs say of it."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.scatter import estimates, run_scatter, scatter, spread_of_ratios
from spacetime_tps import SpacetimeError


def test_a_ratio_is_one_where_errors_are_true_and_two_where_they_are_half_of_it() -> None:
    rng = np.random.default_rng(4)
    runs = [{"true": (rng.normal(5.0, 0.2), 0.2), "half": (rng.normal(5.0, 0.2), 0.1)} for _ in range(4000)]
    found = scatter(runs)
    assert found["true"]["mean"] == pytest.approx(5.0, abs=0.02)
    assert found["true"]["scatter"] == pytest.approx(0.2, rel=0.04)  # 3.5 times what 4000 draws leave
    assert [found[name]["ratio"] for name in ("true", "half")] == pytest.approx([1.0, 2.0], rel=0.04)
    groups = [scatter(runs[k : k + 10])["true"]["ratio"] for k in range(0, len(runs), 10)]
    low, high = spread_of_ratios(10)
    assert np.mean([low < ratio < high for ratio in groups]) == pytest.approx(0.95, abs=0.04)


def test_estimates_are_found_wherever_they_are_and_need_an_error() -> None:
    known, exact = {"value": 2.0, "standard_error": 0.5}, {"value": 1.0, "standard_error": 0.0}
    content = {"a": known, "b": [{"share": known}, {"share": exact}], "c": {"value": 3.0, "standard_error": None}, "d": 7}
    assert dict(estimates(content)) == {"a": (2.0, 0.5), "b.0.share": (2.0, 0.5)}
    assert scatter([dict(estimates(content))] * 2) == {}, "two runs tell no scatter"


def test_the_same_run_thrice_is_refused(small_run: Path) -> None:
    with pytest.raises(SpacetimeError, match="each of its own seed"):
        run_scatter([small_run] * 3, None)
