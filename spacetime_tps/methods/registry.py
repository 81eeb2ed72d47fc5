"""The methods that a run may be asked for, in the order they run."""

from spacetime_tps.methods.guided import Guided
from spacetime_tps.methods.protocol import Method
from spacetime_tps.methods.reverse import Reverse
from spacetime_tps.methods.steered import Steered

METHODS: tuple[Method, ...] = (Guided(), Reverse(Guided()), Steered(), Reverse(Steered()))
