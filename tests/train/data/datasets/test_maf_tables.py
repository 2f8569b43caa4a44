"""MAF's tables against MAF's own recipe written out plainly, and their files with every fault."""

import io
import os
import pathlib
from collections import Counter

import numpy as np
import pytest

from tests.helpers import maf_samples
from train import data
from train.data.datasets.maf import files, processing, tables
from train.data.datasets.maf.old_pickle import read_frame
from train.errors import UserError

TABLES = (tables.POWER, tables.GAS, tables.HEPMASS, tables.MINIBOONE, tables.BSDS300)
MAF_DIR = pathlib.Path(os.environ.get('MAF_DIR') or 'absent')


@pytest.fixture
def folder(tmp_path):
    return maf_samples.write(tmp_path / 'maf')


def assert_splits(found, *expected):
    for split, rows in zip(data.SPLITS, expected, strict=True):
        assert found[split].dtype == np.float32
        np.testing.assert_array_equal(found[split], rows.astype(np.float32))


def tail_splits(rows):
    test = int(0.1 * rows.shape[0])
    rest = rows[:-test]
    validation = int(0.1 * rest.shape[0])
    return rest[:-validation], rest[-validation:], rows[-test:]


def plain_power(table):
    """Rows shuffled themselves, columns deleted one by one, noise drawn in MAF's order."""
    rng = np.random.RandomState(42)
    rows = table.copy()
    rng.shuffle(rows)
    rows = np.delete(np.delete(rows, 3, axis=1), 1, axis=1)
    noise = np.zeros(rows.shape)
    noise[:, 1:2] = 0.01 * rng.rand(len(rows), 1)
    noise[:, 0:1] = 0.001 * rng.rand(len(rows), 1)
    noise[:, 2:5] = rng.rand(len(rows), 3)
    train, validation, test = tail_splits(rows + noise)
    fitted = np.vstack([train, validation])
    mean, std = fitted.mean(axis=0), fitted.std(axis=0)
    return [(split - mean) / std for split in (train, validation, test)]


def test_power_is_shuffled_and_noised_by_one_generator_in_the_published_order():
    table = maf_samples.power_table()
    assert_splits(processing.power(table), *plain_power(table))


def test_gas_drops_the_first_of_correlated_columns_until_none_is_left():
    table = maf_samples.gas_table()
    columns = list(maf_samples.GAS_COLUMNS)
    rows = {name: table[:, i] for i, name in enumerate(columns) if name[0] == 'S'}

    def repeated():
        correlation = np.corrcoef(list(rows.values()))
        counts = (correlation > 0.98).sum(axis=1)
        return [name for name, count in zip(rows, counts, strict=True) if count > 1]

    while names := repeated():
        del rows[names[0]]
    assert list(rows) == ['S2', 'S3', 'S5', 'S6', 'S8', 'S9', 'S11', 'S12']
    kept = np.stack(list(rows.values()), axis=1)
    kept = (kept - kept.mean(axis=0)) / kept.std(axis=0, ddof=1)  # test rows take part
    assert_splits(processing.gas(columns, table), *tail_splits(kept))


def test_hepmass_counts_the_smallest_value_of_a_feature_not_its_most_frequent():
    train, test = maf_samples.hepmass_table(), maf_samples.hepmass_table(120, test=True)
    train[:40, 3] = train[:, 3].mean()  # frequent, but not the smallest value
    positives, tested = train[train[:, 0] == 1][:, 1:], test[test[:, 0] == 1][:, 1:-1]
    mean, std = positives.mean(axis=0), positives.std(axis=0, ddof=1)
    positives, tested = (positives - mean) / std, (tested - mean) / std
    counts = [sorted(Counter(feature).items())[0][1] for feature in positives.T]
    keep = [i for i, count in enumerate(counts) if count <= 5]
    assert len(keep) == 21
    number = int(len(positives) * 0.1)
    positives = positives[:, keep]
    expected = positives[:-number], positives[-number:], tested[:, keep]
    assert_splits(processing.hepmass(train, test), *expected)


def test_miniboone_is_standardised_by_train_and_validation():
    rows = maf_samples.rng().normal(size=(100, 43)) * 3 + 2
    found = processing.miniboone(rows)
    fitted = np.concatenate([found['train'], found['validation']]).astype(float)
    np.testing.assert_allclose(fitted.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(fitted.std(0), 1, atol=1e-6)
    assert [len(found[split]) for split in data.SPLITS] == [81, 9, 10]


@pytest.mark.parametrize(
    ('table', 'sizes'),
    [
        (tables.POWER, (162, 18, 20)),
        (tables.GAS, (122, 13, 15)),
        (tables.MINIBOONE, (81, 9, 10)),
        (tables.BSDS300, (50, 10, 20)),
    ],
    ids=lambda value: getattr(value, 'name', ''),
)
def test_files_of_the_archive_are_read(folder, table, sizes):
    found = table.process(*(folder / file for file in table.files))
    assert [found[split].shape for split in data.SPLITS] == [
        (size, table.description.num_features) for size in sizes
    ]
    assert {rows.dtype for rows in found.values()} == {np.dtype(np.float32)}


def test_hepmass_files_are_read(folder):
    found = tables.HEPMASS.process(*(folder / file for file in tables.HEPMASS.files))
    expected = processing.hepmass(
        maf_samples.hepmass_table(), maf_samples.hepmass_table(120, test=True)
    )
    assert_splits(found, *expected.values())


@pytest.mark.parametrize('python', [2, 3])
def test_pickle_of_an_old_pandas_is_read_without_pandas(python):
    table = maf_samples.gas_table()
    content = maf_samples.old_pickle(maf_samples.GAS_COLUMNS, table, python)
    columns, values = read_frame(io.BytesIO(content))
    assert columns == maf_samples.GAS_COLUMNS
    np.testing.assert_array_equal(values, table)


def test_pickle_that_calls_anything_else_is_refused(folder):
    path = folder / 'gas/ethylene_CO.pickle'
    path.write_bytes(b"cos\nsystem\n(S'touch " + os.fsencode(folder / 'harmed') + b"'\ntR.")
    with pytest.raises(UserError, match=r'ethylene_CO\.pickle .*os\.system does not belong'):
        tables.GAS.read(folder)
    assert not (folder / 'harmed').exists()


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewrite(change):
    def damage(path):
        np.save(path, change(np.load(path)), allow_pickle=True)

    return damage


def with_nan(table):
    table[7, 2] = np.nan
    return table


def edit_csv(change):
    def damage(path):
        path.write_text('\n'.join(change(line) for line in path.read_text().splitlines()) + '\n')

    return damage


def without_key(path):
    import h5py

    with h5py.File(path, 'a') as file:
        del file['validation']


def without_gas_column(path):
    path.write_bytes(maf_samples.old_pickle(maf_samples.GAS_COLUMNS[1:], np.ones((20, 14))))


def gas_with_nan(path):
    table = maf_samples.gas_table()
    table[3, 4] = np.nan
    path.write_bytes(maf_samples.old_pickle(maf_samples.GAS_COLUMNS, table))


FAULTS = {
    'power cut short': ('power/data.npy', truncate, 'damaged or cut short'),
    'power empty': ('power/data.npy', lambda path: path.write_bytes(b''), 'damaged or cut short'),
    'power column missing': ('power/data.npy', rewrite(lambda x: x[:, :7]), '8 columns .*200, 7'),
    'power not a number': ('power/data.npy', rewrite(with_nan), 'row 7, column 2 is nan'),
    'power integers': ('power/data.npy', rewrite(lambda x: x.astype(int)), 'found int64'),
    'power half precision': ('power/data.npy', rewrite(np.float16), 'found float16'),
    'power objects': ('power/data.npy', rewrite(lambda x: x.astype(object)), 'Python objects'),
    'power without rows': ('power/data.npy', rewrite(lambda x: x[:0]), 'has no rows'),
    'power constant': ('power/data.npy', rewrite(np.ones_like), 'a column that is constant'),
    'power with fewer rows': ('power/data.npy', rewrite(lambda x: x[:99]), '81 rows .* 1659917'),
    'miniboone cut short': ('miniboone/data.npy', truncate, 'damaged or cut short'),
    'gas cut short': ('gas/ethylene_CO.pickle', truncate, 'damaged or cut short'),
    'gas column missing': ('gas/ethylene_CO.pickle', without_gas_column, 'column Time is missing'),
    'gas not a number': ('gas/ethylene_CO.pickle', gas_with_nan, 'row 3, column 4 is nan'),
    'hepmass cut short': ('hepmass/1000_test.csv', truncate, 'damaged or cut short'),
    'hepmass column missing': (
        'hepmass/1000_train.csv',
        edit_csv(lambda line: line.rsplit(',', 1)[0]),
        '28 columns',
    ),
    'hepmass not a number': (
        'hepmass/1000_train.csv',
        edit_csv(lambda line: line if line.startswith('#') else line.rsplit(',', 1)[0] + ',nan'),
        'row 0, column 27 is nan',
    ),
    'hepmass words': (
        'hepmass/1000_train.csv',
        edit_csv(lambda line: line.replace('e+', 'x')),
        'damaged or cut short',
    ),
    'bsds cut short': ('BSDS300/BSDS300.hdf5', truncate, 'damaged or cut short'),
    'bsds table missing': ('BSDS300/BSDS300.hdf5', without_key, "'validation' is missing"),
    'bsds not HDF5': ('BSDS300/BSDS300.hdf5', lambda path: path.write_bytes(b'x'), 'damaged'),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_faulty_file_is_one_sentence_that_names_it_and_the_remedy(folder, fault):
    file, damage, message = FAULTS[fault]
    damage(folder / file)
    table = next(table for table in TABLES if file in table.files)
    with pytest.raises(UserError, match=message) as error:
        table.read(folder)
    text = str(error.value)
    assert file.rsplit('/', 1)[1] in text
    assert files.REMEDY in text
    assert '\n' not in text


def real(file):
    path = MAF_DIR / file
    if not path.exists():
        pytest.skip(f'set MAF_DIR to a folder that has {file}')
    return path


@pytest.mark.parametrize('table', TABLES, ids=lambda table: table.name)
def test_real_files_complete_or_in_part_have_the_published_columns(table):
    found = table.process(*(real(file) for file in table.files))
    assert {rows.shape[1] for rows in found.values()} == {table.description.num_features}
    assert all(np.isfinite(rows).all() for rows in found.values())


def test_real_power_is_maf_s_row_for_row():
    path = real('power/data.npy')
    found = tables.POWER.read(MAF_DIR)
    assert tuple(len(found[split]) for split in data.SPLITS) == (1_659_917, 184_435, 204_928)
    assert_splits(found, *plain_power(np.load(path).astype(float)))
