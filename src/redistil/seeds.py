"""Named random streams: a seed and a name give an independent generator.

Adding a stage, or a query to a stage, never shifts what the others draw. Nothing here touches
the global state of `random`, numpy or torch.
"""

import hashlib

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """Return the 63-bit seed of the stream that `names` call, under `seed`."""
    spelled = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(spelled.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return numpy's generator for the stream that `names` call, under `seed`."""
    return np.random.Generator(np.random.PCG64(derive(seed, *names)))


def fraction(text: str) -> float:
    """Return a number in [0, 1) that depends on `text` alone: splits that never move."""
    # 53 bits fit a float: the quotient of 64 can round up to 1
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53
