"""Whether weighted paths can be taken for the transition path ensemble: what speaks against it, one sentence each, and what to do."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spacetime_tps.shooting.sites import Site
from spacetime_tps.shooting.weights import weighted_mean

FEW = 30.0
"""Effective paths, below which bootstrap errors say little"""
HEAVY = 0.2
"""Of all weight, on one path"""
HALVES_APART = 3.0
"""Standard errors between the halves of the shots"""
UNDECIDED = 0.1
"""Of trajectories that met neither state"""
REACTIVE = 0.05
"""Of shots; where the window's variable decides, a third and more are"""
UNMIXED = 1.5
"""R-hat of walks; that of walks worth two independent frames each is 1.4"""

UNEVEN = 20.0
"""Weight over the mean, of one path"""
MISSING = 0.01
"""Of trajectories that met neither state, where it is worth a word"""
UNLINKED = 1.0
"""kT, error of the free energy of a crossing"""


def earlier(sites: Sequence[Site[Any]]) -> np.ndarray:
    """(paths,) bool: which paths are from the first half of their site's paths, batch by batch."""
    found = []
    for site in sites:
        counts = np.array([len(b.path_shot) for b in site.batches], dtype=int)
        before = np.cumsum(counts) - 0.5 * counts  # the middle of each batch
        found.append(np.repeat(before <= 0.5 * counts.sum(), counts))
    return np.concatenate(found)


def halves_apart(values: np.ndarray, weight: np.ndarray, early: np.ndarray, times: np.ndarray) -> float | None:
    """Standard errors between the weighted means of values (paths,) over the two halves; None where one has no weight or no error.

    times (draws, paths): bootstrap multiplicities.
    """
    if not (weight[early].sum() and weight[~early].sum()):
        return None
    one, other = (weighted_mean(values, np.where(half, weight, 0.0), times) for half in (early, ~early))
    error = float(np.hypot(one.error, other.error))
    return abs(one.value - other.value) / error if error else None


def against(record: Mapping[str, Any]) -> list[str]:
    """What speaks against the ensemble of unbiased.json's content; nothing where it can be trusted."""
    found = []
    if record["effective_paths"] < FEW:
        found.append(
            f"{record['effective_paths']:.0f} effective paths are too few for errors to be known: ask for more, with a larger budget"
        )
    if record["share_of_heaviest_path"] > HEAVY:
        found.append(
            f"one path carries {record['share_of_heaviest_path']:.0%} of all weight: there are others like it that no window sees; use a "
            "softer one (unbiased.stiffness)"
        )
    for name, apart in record["halves_apart"].items():
        if apart is not None and apart > HALVES_APART:
            found.append(
                f"{name} of the earlier and of the later paths differ by {apart:.1f} standard errors: walks have not seen "
                "everything yet; give them more time (unbiased.equilibration, unbiased.gap), or compare another seed"
            )
    if record["undecided_fraction"] > UNDECIDED:
        found.append(
            f"{record['undecided_fraction']:.0%} of trajectories met neither state: a third basin holds them, and paths through it are "
            "missing; raise unbiased.longest, or widen a state to it"
        )
    main = max(record["crossings"], key=lambda c: c["shots"])
    if main["r_hat"] is not None and main["r_hat"] > UNMIXED:
        found.append(
            f"walks in the window on {main['variable']} have not mixed (R-hat {main['r_hat']:.1f}): each keeps to a part of its own; give "
            "them more time (unbiased.equilibration, unbiased.gap), or more walks (unbiased.walkers)"
        )
    if main["reactive_fraction"] < REACTIVE:
        found.append(
            f"{main['reactive_fraction']:.1%} of shots were reactive: {main['variable']} alone does not decide where they go; name "
            "coordinates that do"
        )
    return found


def cautions(record: Mapping[str, Any]) -> list[str]:
    """What a reader of an ensemble has to know that speaks not against it, one sentence each; record: as for `against`."""
    found = []
    if record["largest_weight_over_mean"] > UNEVEN:
        found.append(
            f"One path weighs {record['largest_weight_over_mean']:.0f} times the mean: there are paths that the windows hardly see. "
            "Averages may still move; a softer window (unbiased.stiffness) or more shots help."
        )
    if MISSING < record["undecided_fraction"] <= UNDECIDED:
        found.append(
            f"{record['undecided_fraction']:.1%} of trajectories met neither state within {record['longest_steps']} steps "
            "(unbiased.longest): long paths are missing."
        )
    if any((c["free_energy_error_kT"] or 0.0) > UNLINKED for c in record["crossings"]):
        found.append(
            "The free energy of a crossing is uncertain by more than 1 kT: its share and the rate are no better than that "
            "(unbiased.rung_steps)."
        )
    return found
