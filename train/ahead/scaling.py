"""What a record of one slice says of another whose chips have as many rows each.

The work of a chip and what it moves to and from its memory stay; of an exchange among n chips each sends (n - 1) / n
times as much as in the limit of many, by the links that the other slice gives it.
"""

import math
from collections.abc import Mapping
from typing import Any

from train.ahead.roofline import Roofline, roofline
from train.ahead.topologies import named


def on_slice(record: Mapping[str, Any], name: str) -> Roofline:
    """The least time of a training step on the slice `name`, such as 'v5e:8x8', from a record of another one.

    Raises a ValueError for a record of a single chip, which does not say what is exchanged.
    """
    here = record['device_count']
    if here == 1:
        raise ValueError('a record of several chips says what they exchange; found one of 1 chip.')
    program, topology = record['programs']['training'], named(name)
    there = math.prod(topology.shape)
    sent = sum(each['number'] * each['sent'] for each in program['collectives'])
    found = roofline(
        topology,
        products=program['flops_in_passes'],
        moved=program['bytes'],
        sent=sent * (1 - 1 / there) / (1 - 1 / here),
    )
    assert found is not None  # for a slice has a chip
    return found
