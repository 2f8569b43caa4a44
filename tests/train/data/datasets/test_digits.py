"""The bundled digits: real images, one fixed split."""

from types import SimpleNamespace

import numpy as np

from train import data

CONFIG = SimpleNamespace(dataset='digits', max_rows=0, context='')


def split(opened, name):
    source = opened.source(name)
    return source.gather(np.arange(len(source)))


def test_splits_are_all_images_once():
    from sklearn.datasets import load_digits

    opened = data.load(CONFIG)
    splits = [split(opened, name) for name in data.SPLITS]
    assert [len(rows) for rows in splits] == [1437, 180, 180]
    assert all(rows.dtype == np.uint8 for rows in splits)
    together, bundled = np.concatenate(splits), load_digits().data.astype(np.uint8)
    order, bundled_order = (np.lexsort(rows.T) for rows in (together, bundled))
    np.testing.assert_array_equal(together[order], bundled[bundled_order])


def test_split_is_shuffled_and_fixed():
    opened = data.load(CONFIG)
    assert opened.fingerprint == 'digits-59c6a3bb8047cbae'
    assert (opened.description.shape, opened.description.levels, opened.num_features) == (
        (8, 8, 1),
        17,
        64,
    )
    means = [split(opened, name).mean() for name in data.SPLITS]
    np.testing.assert_allclose(means, 4.884, atol=0.1)
