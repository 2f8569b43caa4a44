"""The processing of MAF's five tables, equal to MAF's row for row, quirks included.

Papamakarios, Pavlakou, Murray, 'Masked autoregressive flow for density estimation', 2017,
arXiv:1705.07057. Every function takes raw arrays and returns {split: float32 (n, D)}. Numbers are
float64 until the end, as there.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from train.data.base import SPLITS

Splits = dict[str, np.ndarray]
POWER_SEED = 42
CORRELATED = 0.98
MOST_REPEATS = 5


def power(table: np.ndarray) -> Splits:
    """Household power (n, 8): 7 readings and the minute of the day -> 6 columns.

    One generator shuffles the rows and then draws the noise that fills the gaps between readings:
    voltage first, then global active power, then the three sub-meters, although the columns stand
    in another order. The time gets no noise.
    """
    rng = np.random.RandomState(POWER_SEED)
    order = np.arange(len(table))
    rng.shuffle(order)  # the same draws as shuffling the rows themselves, a hundred times quicker
    # Columns 3 (intensity) and 1 (reactive power) are left out. Rows lie one behind the other in
    # memory as MAF's do, since numpy sums a mean along memory and so rounds it accordingly.
    rows = np.ascontiguousarray(table[order][:, [0, 2, 4, 5, 6, 7]])
    n = len(rows)
    voltage = 0.01 * rng.rand(n, 1)
    active_power = 0.001 * rng.rand(n, 1)
    sub_meters = rng.rand(n, 3)
    rows += np.hstack([active_power, voltage, sub_meters, np.zeros((n, 1))])
    return _standardised_tail_splits(rows)


def gas(columns: Sequence[str], table: np.ndarray) -> Splits:
    """Gas sensors (n, columns by name) -> 8 columns.

    Quirks: while a column correlates above 0.98 with another, the first such column is dropped; the
    moments are those of all rows, test rows included, with n - 1 in the variance.
    """
    keep = [i for i, name in enumerate(columns) if name not in ('Meth', 'Eth', 'Time')]
    rows = table[:, keep]
    with np.errstate(invalid='ignore'):  # a constant column correlates with none, as in pandas
        correlation = np.corrcoef(rows, rowvar=False) > CORRELATED
    left = np.arange(rows.shape[1])
    while (repeated := correlation[np.ix_(left, left)].sum(axis=1) > 1).any():
        left = np.delete(left, np.flatnonzero(repeated)[0])
    rows = rows[:, left]
    return _finish(_tail_splits((rows - rows.mean(axis=0)) / rows.std(axis=0, ddof=1)))


def hepmass(train: np.ndarray, test: np.ndarray) -> Splits:
    """HEPMASS: train (n, 28) with the label first, test (n, 29) with a last column more -> 21 columns.

    Quirks: rows of label 1 only; the last column of the test file alone is dropped; after
    standardising by the training file's moments (n - 1 in the variance), features are dropped
    whose smallest value, not their most frequent one, occurs more than 5 times.
    """
    train = train[train[:, 0] == 1][:, 1:]
    test = test[test[:, 0] == 1][:, 1:-1]
    mean, std = train.mean(axis=0), train.std(axis=0, ddof=1)
    train, test = (train - mean) / std, (test - mean) / std
    keep = (train == train.min(axis=0)).sum(axis=0) <= MOST_REPEATS
    train, validation = _without_tail(train[:, keep])
    return _finish((train, validation, test[:, keep]))


def miniboone(table: np.ndarray) -> Splits:
    """MiniBooNE (n, 43), already cleaned by MAF."""
    return _standardised_tail_splits(table)


def bsds300(splits: Mapping[str, np.ndarray]) -> Splits:
    """Patches by split (n, 63), used as they are."""
    return _finish([splits[split] for split in SPLITS])


def _standardised_tail_splits(rows: np.ndarray) -> Splits:
    """Tail splits, standardised by train and validation together (n in the variance)."""
    train, validation, test = _tail_splits(rows)
    fitted = rows[: len(train) + len(validation)]
    mean, std = fitted.mean(axis=0), fitted.std(axis=0)
    return _finish((split - mean) / std for split in (train, validation, test))


def _tail_splits(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(train, validation, test): the last tenth tests, the last tenth of the rest validates."""
    rest, test = _without_tail(rows)
    return *_without_tail(rest), test


def _without_tail(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    number = int(0.1 * len(rows))
    return rows[: len(rows) - number], rows[len(rows) - number :]


def _finish(arrays: Iterable[np.ndarray]) -> Splits:
    return {
        split: np.ascontiguousarray(array, np.float32)
        for split, array in zip(SPLITS, arrays, strict=True)
    }
