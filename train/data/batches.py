"""Which rows make which batch: pure functions of (seed, epoch, step), the same on every process.

The order of an epoch is a permutation drawn from (seed, epoch); the position is the step. Global
batch k of an epoch is rows order[k B : (k + 1) B]; its first B / devices rows go to device 0, and
so on. The rows left over at the end of an epoch are dropped, other ones each time.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from train.data.base import Source
from train.errors import UserError

Chunks = Iterator[tuple[np.ndarray, np.ndarray]]

ORDER = 1  # purpose of the stream of random numbers, beside the seed and the epoch


def order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation (n,) int32 of an epoch, from raw bits: the same on every machine."""
    sequence = np.random.SeedSequence(seed, spawn_key=(ORDER, epoch))
    return np.argsort(np.random.Philox(sequence).random_raw(n), kind='stable').astype(np.int32)


def check_batch_size(batch_size: int, num_devices: int) -> None:
    """Refuse a batch that does not divide among the devices."""
    if batch_size < 1:
        raise UserError(f'config.batch_size must be positive; found {batch_size}.')
    if batch_size % num_devices:
        below = batch_size // num_devices * num_devices
        nearest = ' or '.join(str(size) for size in (below, below + num_devices) if size)
        divisor = max(d for d in range(1, num_devices + 1) if batch_size % d == 0)
        raise UserError(
            f'batch_size {batch_size} does not divide among {num_devices} devices: '
            f'use --config.batch_size={nearest}, or --config.num_devices={divisor}.'
        )


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Full batches in n rows; a split smaller than one batch is refused."""
    if n < batch_size:
        raise UserError(
            f'the training split has {n} rows, fewer than one batch of {batch_size}: '
            f'use --config.batch_size={n} or less.'
        )
    return n // batch_size


def chunk_edges(num_steps: int, steps_per_call: int) -> list[int]:
    """Edges 0 = e_0 < ... < e_k = num_steps of an epoch's chunks.

    No chunk is longer than `steps_per_call` and their lengths differ by one at most, so that a
    compiled step meets at most two shapes.
    """
    if steps_per_call < 1:
        raise UserError(f'config.steps_per_call must be positive; found {steps_per_call}.')
    num_chunks = -(-num_steps // steps_per_call)
    parts = np.array_split(np.arange(num_steps), num_chunks)
    return [0, *np.cumsum([len(part) for part in parts]).tolist()]


def chunk_spans(num_steps: int, steps_per_call: int, position: int) -> Iterator[tuple[int, int]]:
    """(first, last) step of each chunk of an epoch from step `position` of it on.

    Chunks keep the same edges wherever the epoch is entered.
    """
    later = (edge for edge in chunk_edges(num_steps, steps_per_call) if edge > position)
    return itertools.pairwise([position, *later])


@dataclasses.dataclass(frozen=True)
class Shares:
    """How a batch divides among the devices of all processes, and which part of it is this process's."""

    num_devices: int = 1
    process_index: int = 0
    process_count: int = 1

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The part of this process's devices: (..., B) -> (..., local devices, B / devices)."""
        check_batch_size(rows.shape[-1], self.num_devices)
        if self.num_devices % self.process_count:
            raise UserError(
                f'{self.num_devices} devices do not divide among {self.process_count} processes.'
            )
        parts = rows.reshape(*rows.shape[:-1], self.num_devices, -1)
        return parts[..., self.local, :]

    @property
    def local(self) -> slice:
        """Which of the devices are this process's."""
        count = self.num_devices // self.process_count
        return slice(self.process_index * count, (self.process_index + 1) * count)


def chunks(
    source: Source,
    seeds: Sequence[int],
    start_step: int,
    batch_size: int,
    steps_per_call: int,
    deal: Callable[[np.ndarray], np.ndarray],
) -> Chunks:
    """The batches from step `start_step` of the training to the end of its epoch, chunk by chunk.

    seeds: of each order; those of a study train together, each in an order of its own. deal: rows (steps, seeds, B) ->
    those of this process's devices, whose axis is the second one.
    Yields (rows (steps, local devices, ..., D) in the stored dtype, indices (steps, local devices, ...) int32).
    """
    per_epoch = steps_per_epoch(len(source), batch_size)
    epoch, position = divmod(start_step, per_epoch)
    used = per_epoch * batch_size
    orders = [order(len(source), seed, epoch)[:used].reshape(per_epoch, -1) for seed in seeds]
    batches = np.stack(orders, axis=1)
    for first, last in chunk_spans(per_epoch, steps_per_call, position):
        indices = deal(batches[first:last])
        yield source.gather(indices.reshape(-1)).reshape(*indices.shape, -1), indices


def evaluation_batches(n: int, batch_size: int, shares: Shares) -> tuple[np.ndarray, np.ndarray]:
    """Every row once, for this process: (indices, mask), (batches, local devices, B / devices).

    The last batch is filled with row 0 and masked out, so all processes make the same number of
    calls and the masks of all processes sum to n.
    """
    check_batch_size(batch_size, shares.num_devices)
    num_batches = -(-n // batch_size)
    indices = np.arange(num_batches * batch_size, dtype=np.int32).reshape(num_batches, batch_size)
    mask = indices < n
    return shares.of(np.where(mask, indices, 0)), shares.of(mask)
