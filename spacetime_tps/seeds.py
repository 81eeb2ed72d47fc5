"""Seeds of tasks: fixed by the run's seed, what a task is for and its number, so that no order of execution changes a result."""

import zlib

import numpy as np


def seed_of(root: int, purpose: str, index: int) -> int:
    """The seed of one task: an odd positive 31-bit number fixed by the run's seed, what the task is for and its index."""
    sequence = np.random.SeedSequence([root, zlib.crc32(purpose.encode()), index])
    return int(sequence.generate_state(1)[0] & 0x7FFFFFFE) + 1
