"""Files with random damage, the same ones every time."""

import numpy as np


def damaged(content: bytes, seed: int, extent: int | None = None) -> bytes:
    """The bytes with 1 to 8 of them changed, or a few more inserted, or cut short.

    extent: where damage begins at the latest; by default anywhere.
    """
    rng = np.random.default_rng(seed)
    extent = min(extent or len(content), len(content))
    found = bytearray(content)
    kind = rng.choice(['change', 'insert', 'cut'], p=[0.7, 0.2, 0.1])
    if kind == 'cut':
        return bytes(found[: rng.integers(extent)])
    for place in rng.integers(extent, size=rng.integers(1, 9)):
        if kind == 'change':
            found[place] = rng.integers(256)
        else:
            found[place:place] = rng.bytes(rng.integers(1, 9))
    return bytes(found)
