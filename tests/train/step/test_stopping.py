"""Look-ahead early stopping on scripted curves."""

import dataclasses
import math

import pytest

from train.step.stopping import Stopping


def follow(losses, look_ahead):
    """The stopping state after each loss, until it stops."""
    states = [Stopping(look_ahead)]
    for epoch, loss in enumerate(losses, start=1):
        states.append(states[-1].update(epoch, loss))
        if states[-1].should_stop:
            break
    return states


@pytest.mark.parametrize(
    ('losses', 'stops_at', 'best_epoch'),
    [
        ([3, 2, 1, 1, 1, 1], 6, 3),  # a tie is no improvement
        ([3, 2, 2.5, 1, 4, 4, 4, 4], 7, 4),  # counts from the best, not from the last rise
        ([5, 4, 3, 2, 1], None, 5),
        ([1, 2, 3, 4], 4, 1),
        (
            [math.nan, 2, 1, math.nan, math.nan, math.nan],
            6,
            3,
        ),  # NaN never is the best, nor blocks one
        ([math.nan, math.nan, math.nan], 3, 0),
        ([math.inf, 1, 2], None, 2),
    ],
)
def test_stops_after_look_ahead_epochs_without_improvement(losses, stops_at, best_epoch):
    states = follow(losses, look_ahead=3)
    assert (states[-1].epoch if states[-1].should_stop else None) == stops_at
    assert states[-1].best_epoch == best_epoch


def test_update_leaves_the_value_unchanged():
    before = Stopping(3)
    before.update(1, 1.0)
    assert before == Stopping(3)


def test_survives_json():
    state = follow([3, 2, 5], look_ahead=4)[-1]
    assert Stopping(**dataclasses.asdict(state)) == state
