"""What a record of one slice says of others: the least time there, with as many rows a chip."""

import pytest

from train.ahead.chips import CHIPS
from train.ahead.scaling import on_slice

CHIP = CHIPS['v5e']


def record(device_count, seconds=1.0):
    """Of a step that keeps matrix unit and memory busy so long, and a link of eight chips as long as both of them."""
    sent = 2 * seconds * CHIP.link_bandwidth
    return {
        'device_count': device_count,
        'programs': {
            'training': {
                'flops_in_passes': seconds * CHIP.flops,
                'bytes': seconds * CHIP.hbm_bandwidth,
                'collectives': [{'number': 2.0, 'sent': sent / 4}, {'number': 0.5, 'sent': sent}],
            }
        },
    }


@pytest.mark.parametrize(
    ('name', 'network'),
    [
        ('v5e:1x1', 0),
        ('v5e:2x4', 1),
        ('v5e:8x8', 63 / 64 / (7 / 8)),
        ('v5e:16x16', 255 / 256 / (7 / 8) / 2),  # a ring has twice the links
    ],
)
def test_work_stays_and_the_exchange_follows_chips_and_links(name, network):
    found = on_slice(record(8), name)
    assert (found.products, found.memory) == (1, 1)
    assert found.network == pytest.approx(network)


def test_single_chip_does_not_say_what_would_be_exchanged():
    with pytest.raises(ValueError, match='found one of 1 chip'):
        on_slice(record(1), 'v5e:2x4')
