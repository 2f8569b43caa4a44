"""A user's own files as a dataset: rows, splits, categories, contexts, bounds, and what a density of them is."""

import csv

import jax
import numpy as np
import pytest
from PIL import Image

from train import data
from train.data import catalogue
from train.data.preprocessing import Preprocessing
from train.data.preprocessing.bijectors import Unbounded
from train.errors import UserError
from train.step.randomness import example_keys
from train.step.step import preprocess

RNG = np.random.default_rng(1)
ROWS = 200
COLOURS = ('blue', 'green', 'red')


def config_of(folder, path, **fields):
    preset = {'preprocessing': 'standardise', 'symmetric_range': False, 'flip': False}
    places = {'path': str(path), 'cache_dir': str(folder / 'cache')}
    return catalogue.config_of('file', **preset | places | fields)


def write_csv(path, columns):
    with open(path, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


@pytest.fixture(scope='module')
def mixed(tmp_path_factory):
    """(file, its columns): two of numbers, one of texts, one of whole numbers."""
    folder = tmp_path_factory.mktemp('mixed')
    columns = {
        'share': RNG.beta(2, 5, ROWS),
        'colour': RNG.choice(COLOURS, ROWS),
        'age': 40 + 10 * RNG.normal(size=ROWS),
        'label': RNG.choice([2, 10], ROWS),
    }
    return write_csv(folder / 'mixed.csv', columns), columns


def opened(folder, path, **fields):
    """(description, preprocessing, rows of each split)."""
    config = config_of(folder, path, **fields)
    known, loaded = data.describe(config), data.load(config)
    sources = {split: loaded.source(split) for split in data.SPLITS}
    fitted = Preprocessing.fit(config, known, sources['train'])
    rows = {split: source.gather(np.arange(len(source))) for split, source in sources.items()}
    template = Preprocessing.template(config, known)
    assert jax.tree.structure(fitted) == jax.tree.structure(template)
    return known, fitted, rows


def test_every_row_is_in_one_split_and_which_one_follows_from_the_seed(tmp_path, mixed):
    path, columns = mixed
    known, _, rows = opened(tmp_path, path, columns='age,share')
    assert known.split_sizes == (160, 20, 20)
    whole = np.column_stack([columns['age'], columns['share']]).astype(np.float32)
    together = np.concatenate([rows[split] for split in data.SPLITS])
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(whole, axis=0))
    again, other = (
        opened(tmp_path, path, columns='age,share', split_seed=seed)[2]['test'] for seed in (0, 1)
    )
    np.testing.assert_array_equal(again, rows['test'])
    assert not np.array_equal(other, rows['test'])


def test_categories_get_noise_and_contexts_are_one_hot_or_standardised(tmp_path, mixed):
    path, _ = mixed
    known, fitted, rows = opened(
        tmp_path, path, columns='colour,share', context='label,age', categorical='label',
        bounds='share:0..1',
    )  # fmt: skip
    table = known.table
    assert [column.categories for column in table.used] == [COLOURS, (), ('2', '10'), ()]
    assert (known.shape, known.context) == ((2,), 3)
    raw = rows['train']
    x, log_det, c = preprocess(
        fitted, raw, example_keys(0, 'noise', 0, np.arange(len(raw))), training=True
    )
    np.testing.assert_allclose(x.mean(0), 0, atol=0.05)  # fitted with other noise
    np.testing.assert_allclose(x.std(0), 1, rtol=0.1)
    np.testing.assert_array_equal(c[:, :2], np.eye(2)[raw[:, 2].astype(int)])
    np.testing.assert_allclose([c[:, 2].mean(), c[:, 2].std()], [0, 1], atol=1e-4)
    back, _ = fitted.inverse_and_log_det(x)
    np.testing.assert_array_equal(np.floor(back[:, 0]), raw[:, 0])
    np.testing.assert_allclose(back[:, 1], raw[:, 1], rtol=1e-4)
    std = np.asarray(fitted.bijectors[1].std, float)
    t = np.asarray(back, float)
    widths = [3, 1]
    slopes = np.log(
        [width / (t[:, i] * (width - t[:, i])) / std[i] for i, width in enumerate(widths)]
    )
    np.testing.assert_allclose(log_det, slopes.sum(0), rtol=1e-3, atol=1e-3)
    assert [fitted.context.read('age=40,label=10')[:2].tolist()] == [[0, 1]]
    with pytest.raises(UserError, match=r'as in label=\.\.\.,age=\.\.\.; found'):
        fitted.context.read('label=10')
    with pytest.raises(UserError, match="such as 2, 10; found '3'"):
        fitted.context.read('age=1,label=3')


def test_bounded_columns_have_the_slopes_of_their_maps_and_no_density_beyond(x64):
    lows, highs = (0.0, 0.0, None, None), (1.0, None, 5.0, None)
    bijector = Unbounded(lows, highs)
    t = RNG.uniform(0.05, 0.95, (20, 4)) * [1, 3, 5, 1]
    y, log_det = bijector.forward_and_log_det(t)
    a, b, c, d = t.T
    expected = np.column_stack([np.log(a / (1 - a)), np.log(b), -np.log(5 - c), d])
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    slopes = jax.vmap(jax.jacfwd(lambda row: bijector.forward_and_log_det(row[None])[0][0]))(t)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(slopes)[1], rtol=1e-10)
    back, inverse_log_det = bijector.inverse_and_log_det(y)
    np.testing.assert_allclose(back, t, rtol=1e-12)
    np.testing.assert_allclose(inverse_log_det, -log_det, rtol=1e-10)
    for beyond in ([-1, 1, 1, 0], [0.5, -1, 1, 0], [0.5, 1, 6, 0]):
        y, log_det = bijector.forward_and_log_det(np.array([beyond], float))
        assert log_det[0] == -np.inf
        assert np.isfinite(y).all()


def test_kinds_of_files_hold_the_same_rows(tmp_path):
    import h5py
    import pyarrow as pa
    from pyarrow import parquet

    table = RNG.normal(size=(50, 2))
    columns = {'0': table[:, 0], '1': table[:, 1]}
    write_csv(tmp_path / 't.csv', columns)
    for part in range(2):
        half = {name: values[25 * part : 25 * (part + 1)] for name, values in columns.items()}
        write_csv(tmp_path / f'part{part}.csv', half)
    np.save(tmp_path / 't.npy', table)
    np.savez(tmp_path / 't.npz', table)
    parquet.write_table(pa.table(columns), tmp_path / 't.parquet')
    with h5py.File(tmp_path / 't.h5', 'w') as file:
        file['x'] = table
    found = [
        opened(tmp_path, tmp_path / name)
        for name in ('t.csv', 'part*.csv', 't.npy', 't.npz', 't.parquet', 't.h5')
    ]
    for known, _, rows in found[1:]:
        assert known.table == found[0][0].table
        np.testing.assert_array_equal(rows['train'], found[0][2]['train'])


def test_splits_may_be_arrays_of_one_file_or_files_of_their_own(tmp_path):
    parts = {split: RNG.normal(size=(12 + place, 2)) for place, split in enumerate(data.SPLITS)}
    np.savez(tmp_path / 'all.npz', **parts)
    for split, rows in parts.items():
        np.save(tmp_path / f'{split}.npy', rows)
    others = {f'{name}_path': str(tmp_path / f'{name}.npy') for name in ('validation', 'test')}
    for path, fields in (('all.npz', {}), ('train.npy', others)):
        known, _, rows = opened(tmp_path, tmp_path / path, **fields)
        assert known.split_sizes == (12, 13, 14)
        for split in data.SPLITS:
            np.testing.assert_array_equal(rows[split], parts[split].astype(np.float32))


def test_folder_of_images_has_256_levels(tmp_path):
    pixels = RNG.integers(0, 256, (10, 3, 4, 3), np.uint8)
    (tmp_path / 'images').mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / 'images' / f'{number}.png')
    known, _, rows = opened(tmp_path, tmp_path / 'images')
    assert (known.shape, known.levels, known.split_sizes) == ((3, 4, 3), 256, (8, 1, 1))
    together = np.concatenate([rows[split] for split in data.SPLITS])
    assert sorted(map(bytes, together)) == sorted(image.tobytes() for image in pixels)


def test_column_of_few_numbers_is_pointed_out(tmp_path, caplog):
    np.save(tmp_path / 't.npy', np.column_stack([np.arange(60) % 3, RNG.normal(size=60)]))
    data.describe(config_of(tmp_path, tmp_path / 't.npy'))
    assert "Column '0' of t.npy holds 3 different numbers alone" in caplog.text
    assert "Column '1'" not in caplog.text
    caplog.clear()
    data.describe(config_of(tmp_path, tmp_path / 't.npy', categorical='0'))
    assert 'different numbers' not in caplog.text


def test_file_that_changed_is_read_anew_and_the_same_one_is_not(tmp_path, monkeypatch):
    np.save(tmp_path / 't.npy', RNG.normal(size=(20, 2)))
    first = data.load(config_of(tmp_path, tmp_path / 't.npy'))
    from train.data.datasets.files import conversion

    conversion._FOUND.clear()
    monkeypatch.setattr(conversion, 'survey', None)  # would be called to read it again
    (tmp_path / 't.npy').rename(tmp_path / 'u.npy')
    again = data.load(config_of(tmp_path, tmp_path / 'u.npy'))
    assert (again.location, again.fingerprint) == (first.location, first.fingerprint)
    monkeypatch.undo()
    np.save(tmp_path / 'u.npy', RNG.normal(size=(20, 2)))
    assert data.load(config_of(tmp_path, tmp_path / 'u.npy')).fingerprint != first.fingerprint
