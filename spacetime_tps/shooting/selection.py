"""Which routes to shoot from, on what variables, and why others are left out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spacetime_tps.shooting.crossing import Crossing, chord, crossings_of, distinct, tangent
from spacetime_tps.shooting.engine import Start
from spacetime_tps.shooting.route import RouteFrames
from spacetime_tps.shooting.sites import Site
from spacetime_tps.windows.protocol import Variable

FITS = 2
"""Variables fitted to the shots of a site, at most"""


def sites_of(
    routes: Sequence[RouteFrames[Start]],
    variables: Sequence[Variable],
    *,
    stiffness: float,
    margin_kT: float,
    chosen: Variable | None = None,
) -> tuple[list[Site[Start]], list[tuple[Crossing, str]]]:
    """Crossings worth shooting from, and those that are left out, with the reason.

    variables: those that every path passes through, ordered by the barrier that the best route has on them; where there are none, or none
    holds, the way from A to B and that along the best route's curve at its top. The first holds for all other routes: both ways round it,
    nothing passes unseen. A variable is fitted to shots where there is one route alone: on a linear one, ways round would be one window.
    chosen: the one that windows hold instead of all these, right or wrong.

    Routes whose frames cannot be trusted are left out, other than the best. Where that goes straight from A to B, those that rest in a
    third basin are too: each is two transitions, and a trajectory that has fallen into the basin between them stays there.
    """
    best, found = routes[0], []
    why_not = [_why_not(r, best) for r in routes]
    direct = [r for r, why in zip(routes, why_not, strict=True) if not why]
    others = (chord(best.curve), tangent(best.curve, best.cost))
    candidates = (variables, others) if chosen is None else ((chosen,),)
    order = [c.window.variable for of in candidates for c in crossings_of(best, of, stiffness=stiffness)]
    for frames in direct:
        tops = sorted(crossings_of(frames, order, stiffness=stiffness), key=lambda c: order.index(c.window.variable))
        inside = float(np.log(np.exp(frames.log_weight)[frames.in_a].sum()))
        found.append(Site(tops[0], frames, inside, instead=tops[1:], fits=FITS if len(routes) == 1 and chosen is None else 0))
    kept = distinct([s.crossing for s in found])
    sites = [s for s in found if s.crossing in kept]
    cost = [s.log_population - s.crossing.log_partition for s in sites]
    above = [c - min(cost) for c in cost]
    why = "by the windows of the rounds it costs about {:.0f} kT more than the best one, for a share of {:.0e} or so"
    dear = [(s.crossing, why.format(c, np.exp(-c))) for s, c in zip(sites, above, strict=True) if c > margin_kT]
    dear += [(crossings_of(r, order, stiffness=stiffness)[0], why) for r, why in zip(routes, why_not, strict=True) if why]
    return [s for s, c in zip(sites, above, strict=True) if c <= margin_kT], dear


def _why_not(route: RouteFrames[Any], best: RouteFrames[Any]) -> str:
    """Why a route is not shot from; nothing where it is, as the best one in any case."""
    if route is best:
        return ""
    if route.untrusted:
        return route.untrusted
    if route.third_basin and not best.third_basin:
        return f"it rests in a basin that is neither A nor B, {route.third_basin}: that way is two transitions"
    return ""
