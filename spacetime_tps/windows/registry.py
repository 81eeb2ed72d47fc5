"""The kinds of window variables there are."""

from collections.abc import Callable
from typing import Any

from spacetime_tps.windows.angle import Angle
from spacetime_tps.windows.linear import Linear
from spacetime_tps.windows.protocol import Variable

VARIABLES: dict[str, Callable[[dict[str, Any]], Variable]] = {Angle.kind: Angle.from_json, Linear.kind: Linear.from_json}
"""From plain data, by its "kind". A new window variable is added here."""


def variable_of(data: dict[str, Any]) -> Variable:
    """The variable that `to_json` wrote."""
    return VARIABLES[data["kind"]](data)
