"""Rows without a split get one that depends on the seed alone."""

import numpy as np
import pytest

from train.data.splitting import split_rows, split_sizes
from train.errors import UserError


@pytest.mark.parametrize('rows', [10, 19, 1003])
def test_every_row_is_in_one_split(rows):
    splits = split_rows(rows, seed=3)
    assert tuple(map(len, splits.values())) == split_sizes(rows)
    assert split_sizes(rows)[1] == split_sizes(rows)[2] == rows // 10
    assert sorted(np.concatenate(list(splits.values()))) == list(range(rows))


def test_split_follows_the_seed():
    first, again, other = (split_rows(100, seed)['test'] for seed in (1, 1, 2))
    assert (first == again).all()
    assert set(first) != set(other)


def test_rows_that_cannot_be_split_are_refused():
    with pytest.raises(UserError, match='at least 10 rows to be divided 80/10/10; found 9'):
        split_sizes(9)
