"""Which rows make which batch: a function of seed, epoch and step only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.data import batches
from train.data.storage.sources import ArraySource
from train.errors import UserError


def numbered(n, width=2):
    """A source whose row i is filled with i."""
    return ArraySource(np.repeat(np.arange(n, dtype=np.int32)[:, None], width, axis=1))


def epoch_indices(source, start_step=0, seed=3, batch_size=8, steps_per_call=4, devices=4, **share):
    share = {'process_index': 0, 'process_count': 1, **share}
    shares = batches.Shares(devices, **share)
    found = list(
        batches.chunks(
            source,
            [seed],
            start_step,
            batch_size,
            steps_per_call,
            lambda rows: shares.of(rows[:, 0]),
        )
    )
    for rows, indices in found:
        np.testing.assert_array_equal(rows[..., 0], indices)
        assert indices.dtype == np.int32
        assert rows.dtype == np.int32
    return np.concatenate([indices for _, indices in found]), [len(rows) for rows, _ in found]


def test_each_row_comes_at_most_once_an_epoch_and_other_rows_are_dropped_the_next():
    source = numbered(83)
    epochs = [epoch_indices(source, start_step=step)[0] for step in (0, 10)]
    left_out = []
    for indices in epochs:
        assert indices.shape == (10, 4, 2)
        seen = np.unique(indices)
        assert len(seen) == 80
        left_out.append(set(range(83)) - set(seen.tolist()))
    assert left_out[0] != left_out[1]
    assert not np.array_equal(epochs[0], epochs[1])


def test_order_depends_on_seed_and_epoch():
    orders = {
        (seed, epoch): tuple(batches.order(50, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4
    assert all(sorted(order) == list(range(50)) for order in orders.values())
    assert tuple(batches.order(50, 0, 1)) == orders[0, 1]


def test_order_is_fixed_for_ever():
    assert batches.order(10, 0, 0).tolist() == [4, 6, 3, 5, 2, 9, 1, 0, 7, 8]


def test_first_position_of_a_row_is_uniform():
    positions = np.stack([np.argsort(batches.order(5, 0, epoch)) for epoch in range(4000)])
    counts = np.stack([np.bincount(positions[:, row], minlength=5) for row in range(5)])
    assert ((counts - 800) ** 2 / 800).sum(1).max() < 25  # chi-square, 4 degrees: p = 5e-5


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(8, 200),
    steps_per_call=st.integers(1, 30),
    other=st.integers(1, 30),
    resume=st.integers(0, 60),
)
def test_batches_do_not_depend_on_chunks_nor_on_where_a_run_resumed(
    n, steps_per_call, other, resume
):
    source, per_epoch = numbered(n), n // 8
    whole, _ = epoch_indices(source, steps_per_call=steps_per_call)
    rechunked, _ = epoch_indices(source, steps_per_call=other)
    np.testing.assert_array_equal(whole, rechunked)
    resume %= per_epoch
    rest, _ = epoch_indices(source, start_step=resume, steps_per_call=other)
    np.testing.assert_array_equal(whole[resume:], rest)


@settings(deadline=None)
@given(num_steps=st.integers(1, 3000), steps_per_call=st.integers(1, 500))
def test_chunks_have_two_lengths_at_most_and_none_is_too_long(num_steps, steps_per_call):
    edges = batches.chunk_edges(num_steps, steps_per_call)
    lengths = np.diff(edges)
    assert (edges[0], edges[-1]) == (0, num_steps)
    assert lengths.min() >= 1
    assert lengths.max() <= steps_per_call
    assert lengths.max() - lengths.min() <= 1


def test_resumed_run_meets_the_same_chunk_shapes():
    source = numbered(83)
    _, lengths = epoch_indices(source, steps_per_call=4)
    assert lengths == [4, 3, 3]
    _, resumed = epoch_indices(source, start_step=4, steps_per_call=4)
    assert resumed == [3, 3]


def test_seeds_that_train_together_have_the_orders_that_they_have_alone():
    source = numbered(83)
    together = list(batches.chunks(source, [3, 4], 10, 8, 4, lambda rows: rows))
    indices = np.concatenate([indices for _, indices in together])
    for position, seed in enumerate([3, 4]):
        alone, _ = epoch_indices(source, 10, seed=seed, devices=1)
        np.testing.assert_array_equal(indices[:, position], alone[:, 0])
    assert not np.array_equal(indices[:, 0], indices[:, 1])


def test_processes_partition_each_global_batch():
    source = numbered(64)
    whole, _ = epoch_indices(source)
    parts = [epoch_indices(source, process_index=i, process_count=2)[0] for i in range(2)]
    assert parts[0].shape == (8, 2, 2)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.parametrize(
    ('batch_size', 'devices', 'remedies'),
    [(100, 8, ['=96 or 104', 'num_devices=5']), (3, 8, ['=8', 'num_devices=3'])],
)
def test_batch_that_does_not_divide_is_refused_with_what_works(batch_size, devices, remedies):
    with pytest.raises(UserError) as error:
        batches.check_batch_size(batch_size, devices)
    for remedy in [str(batch_size), str(devices), *remedies]:
        assert remedy in str(error.value)


@pytest.mark.parametrize('batch_size', [0, -8])
def test_batch_without_rows_is_refused(batch_size):
    with pytest.raises(UserError, match='must be positive'):
        batches.check_batch_size(batch_size, 1)


def test_split_smaller_than_a_batch_is_refused():
    with pytest.raises(UserError, match=r'7 rows, fewer than one batch of 8'):
        epoch_indices(numbered(7))


def test_devices_that_do_not_divide_among_processes_are_refused():
    with pytest.raises(UserError, match='4 devices do not divide among 3 processes'):
        epoch_indices(numbered(64), process_index=0, process_count=3)


@pytest.mark.parametrize(('n', 'processes'), [(1, 1), (24, 2), (25, 2), (1003, 4)])
def test_evaluation_covers_every_row_once_over_all_processes(n, processes):
    parts = [
        batches.evaluation_batches(n, 8, batches.Shares(8, i, processes)) for i in range(processes)
    ]
    assert len({indices.shape for indices, _ in parts}) == 1
    real = np.concatenate([indices[mask] for indices, mask in parts])
    assert sorted(real.tolist()) == list(range(n))
    assert all((indices >= 0).all() and (indices < n).all() for indices, _ in parts)
