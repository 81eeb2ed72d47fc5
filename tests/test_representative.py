"""Which path of a run is shown, and gone on from, where nobody names one."""

from dataclasses import replace

from spacetime_tps.paths.representative import representative
from spacetime_tps.paths.transition import Transition


def test_which_path_stands_for_all() -> None:
    def rows(stage: str, *energies: float, weight: float | None = None) -> list[Transition]:
        return [Transition(f"{stage}{e:g}", stage, "ok", 1, e, None, 3, 50, 1, weight, "r", f"transitions/{e}.trr") for e in energies]

    guided = [*rows("guided", 3.0, 2.0), replace(rows("guided", 1.0)[0], hit=0), replace(rows("guided", 0.1)[0], file="")]
    pulled = [*guided, *rows("steered", 0.5)]
    weighted = [rows("unbiased", e, weight=w)[0] for e, w in ((9.0, 0.2), (1.0, 0.5), (5.0, 2.0), (0.0, 0.0))]

    def name(given: list[Transition]) -> str:
        found = representative(given)
        assert found is not None
        return found[0].path

    assert name(pulled) == "guided2"
    assert name(rows("steered", 4.0)) == "steered4"
    assert name([*pulled, *weighted]) == "unbiased5"
    assert representative(guided[2:]) is None
