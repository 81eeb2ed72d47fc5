"""The rivals that a run can be compared with."""

from spacetime_tps.rivals.chains import Chain, one_way, two_way
from spacetime_tps.rivals.protocol import Rival
from spacetime_tps.rivals.starts import from_guided, made_hot

RIVALS: tuple[Rival, ...] = tuple(
    Chain(name + suffix, scheme, start, fixed)
    for suffix, start in (("", from_guided), ("-hot", made_hot))
    for name, scheme, fixed in (
        ("mcmc-one-way", one_way, False), ("mcmc-two-way", two_way, False),
        ("mcmc-fixed", one_way, True), ("mcmc-fixed-two-way", two_way, True),
    )
)  # fmt: skip
