"""Which path of a run to look at, or to go on from, where nobody names one."""

from collections.abc import Sequence

import numpy as np

from spacetime_tps.paths.transition import Transition


def representative(rows: Sequence[Transition]) -> tuple[Transition, str] | None:
    """The path, and why, in a clause; None where none connects.

    Of paths with weights that whose highest energy is their weighted median; where none has one, of the first stage that connects that with
    the lowest highest energy.
    """
    hits = sorted((row for row in rows if row.hit and row.file), key=lambda row: row.max_energy_kj_mol)
    weighted = [row for row in hits if row.weight]
    if weighted:
        share = np.cumsum([row.weight for row in weighted])
        found = weighted[int(np.searchsorted(share, 0.5 * share[-1]))]
        return found, f"the {found.stage} path whose highest energy is the weighted median"
    if not hits:
        return None
    first = next(row.stage for row in rows if row in hits)
    lowest = next(row for row in hits if row.stage == first)
    return lowest, f"of the {first} paths that connect, that with the lowest highest energy"
