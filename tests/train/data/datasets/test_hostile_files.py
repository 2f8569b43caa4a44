"""Files that are not what they should be: one sentence each, with the rule, the value found and the remedy."""

import errno
import os
import pathlib
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from train.data import catalogue, registry
from train.errors import UserError

ROWS = 40
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(ROWS, 3))


def text(rows=TABLE, header='a,b,c', delimiter=','):
    lines = [delimiter.join(f'{x:.6f}' for x in row) for row in rows]
    return '\n'.join([header.replace(',', delimiter), *lines]) + '\n'


def with_line(number, line):
    """The table with another line, of which the names are line 1."""
    lines = text().splitlines()
    lines[number - 1] = line
    return '\n'.join(lines) + '\n'


def csv(content):
    def make(folder):
        content_bytes = content.encode() if isinstance(content, str) else content
        (folder / 'table.csv').write_bytes(content_bytes)
        return {'path': folder / 'table.csv'}

    return make


def npy(array):
    def make(folder):
        np.save(folder / 'table.npy', array)
        return {'path': folder / 'table.npy'}

    return make


def cut(make, keep):
    """A file that is cut short."""

    def made(folder):
        fields = make(folder)
        content = fields['path'].read_bytes()
        fields['path'].write_bytes(content[: int(keep * len(content))])
        return fields

    return made


def saved(name, save):
    def make(folder):
        save(folder / name)
        return {'path': folder / name}

    return make


def given(make, **fields):
    return lambda folder: make(folder) | fields


def split_files(test_header):
    def make(folder):
        for name in ('train', 'validation', 'test'):
            header = test_header if name == 'test' else 'a,b,c'
            (folder / f'{name}.csv').write_text(text(header=header))
        return {
            'path': folder / 'train.csv',
            'validation_path': folder / 'validation.csv',
            'test_path': folder / 'test.csv',
        }

    return make


def loop(folder):
    (folder / 'one.csv').symlink_to(folder / 'two.csv')
    (folder / 'two.csv').symlink_to(folder / 'one.csv')
    return {'path': folder / 'one.csv'}


def pipe(folder):
    os.mkfifo(folder / 'pipe.csv')
    return {'path': folder / 'pipe.csv'}


def folder_of(*images):
    def make(folder):
        (folder / 'images').mkdir()
        for number, (mode, size) in enumerate(images):
            Image.new(mode, size).save(folder / 'images' / f'{number:02d}.png')
        (folder / 'images' / 'readme.md').write_text('')
        return {'path': folder / 'images'}

    return make


def hdf5(**arrays):
    def save(path):
        import h5py

        with h5py.File(path, 'w') as file:
            for name, array in arrays.items():
                file[name] = array

    return saved('table.h5', save)


def archive(path):
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('x', 'y')


def elsewhere(path):
    import h5py

    with h5py.File(path, 'w') as file:
        file.create_dataset('x', (10**9, 3), float)  # of which nothing is written


NUMBERS = pa.table({name: TABLE[:, place] for place, name in enumerate('abc')})
PARQUET = saved('table.parquet', lambda path: parquet.write_table(NUMBERS, path))
DATES = NUMBERS.append_column('day', pa.array(np.arange(ROWS), pa.timestamp('s')))
NULLS = NUMBERS.append_column('d', pa.array([1.0, None, *[2.0] * (ROWS - 2)]))
NPZ = saved('table.npz', lambda path: np.savez(path, x=TABLE))
SQUARE = np.column_stack([TABLE, TABLE[:, 0] - 2 * TABLE[:, 1]])
COARSE = np.column_stack([TABLE[:, :2], 1e9 + np.arange(ROWS)])
GREY = ('L', (4, 4))

HOSTILE = {
    'path not given': (lambda folder: {}, '--config.path must name a file'),
    'no such file': (lambda folder: {'path': 'absent.csv'}, 'found no file at absent.csv'),
    'glob without a match': (lambda folder: {'path': folder / 'x*.csv'}, 'must name what there is'),
    'unknown ending': (saved('t.xlsx', lambda path: path.write_text('a')), "the ending '.xlsx'"),
    'symlink loop': (loop, 'must be a file that can be read and is complete; found "Too many'),
    'pipe': (pipe, 'must be a file that can be read twice; found a pipe or device'),
    'name too long': (lambda folder: {'path': 'x' * 5000}, 'found "File name too long"'),
    'empty file': (csv(''), 'must name the columns; found none in 0 bytes'),
    'names alone': (csv('a,b,c\n'), 'must hold rows; found none'),
    'one row': (csv('a,b\n1,2.5\n'), 'must vary; found 1 in every row'),
    'nine rows': (csv(text(TABLE[:9])), 'at least 10 rows to be divided 80/10/10; found 9'),
    'ragged': (csv(with_line(5, '1,2')), "have 3 cells in each line, as many as its first line; found 2"),
    'a cell too many': (csv(with_line(5, '1,2,3,4')), 'found 4 in line 5'),
    'text among numbers': (csv(with_line(5, '1,x,2')), "row 4 of column 'b' in table.csv must be a number"),
    'decimal comma': (csv(text(delimiter=';').replace('.', ',')), 'with a point for decimals'),
    'number among texts': (csv('a,b\n' + 'x,1.5\n5,2.5\n' * 10), "column 'a' in table.csv must be a number"),
    'missing': (csv(with_line(5, '1,,2')), "row 4 of column 'b' in table.csv must not be missing; found ''"),
    'nan': (csv(with_line(5, '1,NaN,2')), "must not be missing; found 'nan'"),
    'infinite': (csv(with_line(5, '1,-inf,2')), 'must be finite in float32; found -inf'),
    'beyond float32': (csv(with_line(5, f'1,{10**60},2')), 'must be finite in float32; found 1e+60'),
    'beyond float64': (csv(with_line(5, '1,1e999,2')), 'must be finite in float32; found inf'),
    'too fine for float32': (npy(COARSE), "column '2' of table.npy must be told apart in float32"),
    'constant': (npy(np.ones((ROWS, 2))), "column '0' of table.npy must vary; found 1 in every row"),
    'equal columns': (npy(TABLE[:, [0, 1, 0]]), 'must not follow from others, or they have no density; found 0, 2'),
    'dependent columns': (npy(SQUARE), 'found 0, 1, 3, which are equal, or of which one is a sum'),
    'duplicate names': (csv(text(header='a,b,a')), "must have another name for each column; found 'a' twice"),
    'column without a name': (csv(text(header='a,,c')), 'must name every column; found none for column 2'),
    'names that are numbers': (csv(text(header='2019,2020,2021')), 'found whole numbers, 2019, 2020, 2021'),
    'many columns': (csv(','.join(map(str, range(70_000))) + 'a\n'), 'at most 65536 columns; found 70000'),
    'huge first line': (csv('a' * (1 << 25)), 'must be at most 16777216 bytes long'),
    'huge line': (csv(text() + '1' * (1 << 23) + ',2,3\n'), 'must be'),
    'quote in the first line': (csv(text(header='a,"b,c')), 'must close its quotes'),
    'quote that stays open': (csv(with_line(5, '1,"2,3')), 'cells in each line'),
    'binary rubbish': (csv(RNG.bytes(5000)), 'must be UTF-8 text'),
    'rubbish below names': (csv(b'a,b\n' + bytes(range(128, 256)) * 4), 'must'),
    'UTF-16': (csv(text().encode('utf-16')), 'must be UTF-8 text'),
    'npy of objects': (npy(np.array([[1, 'x']] * 20, object)), 'it holds Python objects, which are not read'),
    'npy of texts': (npy(np.array([['a', 'b']] * 20)), 'must hold a table (n, D) of real numbers; found <U1'),
    'complex npy': (npy(TABLE.astype(complex)), 'found complex128 of shape (40, 3)'),
    'npy of images': (npy(np.zeros((9, 4, 4))), 'found float64 of shape (9, 4, 4)'),
    'npy without rows': (npy(np.zeros((0, 3))), 'must hold rows'),
    'truncated npy': (cut(npy(TABLE), 0.5), 'an array (40, 3) of float64 is claimed where'),
    'truncated npy header': (cut(npy(TABLE), 0.05), 'must be a file that can be read'),
    'truncated npz': (cut(NPZ, 0.5), 'must be a file that can be read'),
    'npz of many': (saved('t.npz', lambda path: np.savez(path, x=TABLE, y=TABLE)), 'found x, y'),
    'npz of objects': (
        saved('t.npz', lambda path: np.savez(path, x=np.array([[{}]]))),
        'must be a file that can be read and is complete; found "Object arrays',
    ),
    'zip that is no npz': (saved('t.npz', archive), 'must hold a table (n, D) of real numbers; found'),
    'truncated parquet': (cut(PARQUET, 0.5), 'must be a file that can be read'),
    'parquet of dates': (
        saved('t.parquet', lambda path: parquet.write_table(DATES, path)),
        "must hold numbers, texts and truth values; found timestamp[ms] in column 'day'",
    ),
    'parquet with nulls': (
        saved('t.parquet', lambda path: parquet.write_table(NULLS, path)),
        "row 2 of column 'd' in t.parquet must not be missing",
    ),
    'truncated hdf5': (cut(hdf5(x=np.tile(TABLE, (99, 1))), 0.5), 'must be a file that can be read'),
    'hdf5 of a vector': (hdf5(x=TABLE[:, 0]), 'found float64 of shape (40,) in x'),
    'hdf5 of another file': (saved('t.h5', elsewhere), 'must hold its numbers itself; found'),
    'folder without images': (folder_of(), 'must hold images (.png'),
    'images of two sizes': (folder_of(GREY, ('L', (4, 5))), 'L of 4 x 4 pixels; found L of 4 x 5'),
    'images of two modes': (folder_of(GREY, ('RGB', (4, 4))), 'found RGB of 4 x 4'),
    'image of another mode': (folder_of(('RGBA', (4, 4))), 'must be an image of mode L or RGB'),
    'two images': (folder_of(GREY, GREY), 'at least 10 rows to be divided 80/10/10; found 2'),
    'image that is none': (
        saved('x.png', lambda path: path.write_text('x')),
        'must be a file that can be read',
    ),
    'columns of images': (given(folder_of(GREY), columns='a'), 'config.columns must be empty for images'),
    'table among images': (
        given(folder_of(*[GREY] * 9), validation_path='absent.png', test_path='absent.png'),
        'found no file at absent.png',
    ),
    'unknown column': (given(csv(text()), columns='a,d'), "columns of the file, 'a', 'b', 'c'; found 'd'"),
    'column twice': (given(csv(text()), columns='a,a'), "must name a column once; found 'a' twice"),
    'context that is modelled': (given(csv(text()), columns='a,b', context='b'), "found 'b' in config.columns"),
    'context alone': (given(csv(text()), context='a,b,c'), 'must leave a column to model'),
    'unknown context': (given(csv(text()), context='label'), "config.context must name columns of the file"),
    'bounds without sense': (given(csv(text()), bounds='a:1..0'), "config.bounds must be intervals"),
    'bounds without dots': (given(csv(text()), bounds='a'), "a:0..1,b:0..,c:..5; found 'a'"),
    'bounds of no column': (given(csv(text()), bounds='d:0..'), "config.bounds must name columns"),
    'row below its bound': (
        given(csv(with_line(5, '-9,2,3')), bounds='a:-8..'),
        "row 4 of column 'a' in table.csv must lie inside config.bounds, strictly between -8.0 and inf; found -9",
    ),
    'row at its bound': (
        given(csv(with_line(5, '9,2,3')), bounds='a:-20..9'),
        'strictly between -20.0 and 9.0; found 9: drop that row, or widen the bounds',
    ),
    'bounds of categories': (
        given(csv('a,b\n' + 'x,1.5\ny,2.5\n' * 10), bounds='a:0..1'),
        "must be those of numbers; found 'a', which holds categories",
    ),
    'names as categories': (
        csv('a,b\n' + ''.join(f'x{row},{row}.5\n' for row in range(1001))),
        'or at most 1000 categories; found more texts than that',
    ),
    'split file without a column': (split_files('a,b,d'), "found no 'c' in it"),
    'one split file alone': (
        lambda folder: csv(text())(folder) | {'validation_path': folder / 'table.csv'},
        '--config.test_path must name a file',
    ),
    'unknown table of scikit-learn': (lambda folder: {'path': 'sklearn:x'}, 'must be one of breast_cancer'),
}  # fmt: skip


def described(folder, fields):
    fields = {name: str(value) for name, value in fields.items()}
    return registry.describe(catalogue.config_of('file', cache_dir=str(folder / 'cache'), **fields))


@pytest.mark.parametrize('name', HOSTILE)
def test_file_that_cannot_be_used_is_one_sentence_and_nothing_is_written(tmp_path, name):
    make, sentence = HOSTILE[name]
    fields = make(tmp_path)
    with pytest.raises(UserError) as refused:
        described(tmp_path, fields)
    said = str(refused.value)
    assert sentence in said
    assert '\n' not in said
    assert len(said) < 700
    assert said.endswith('.')
    assert 'must' in said
    assert not list((tmp_path / 'cache').glob('**/*.npy'))


def test_file_without_the_right_to_read_it_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / 'table.csv').write_text(text())

    def refuse(path, *arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr('builtins.open', refuse)  # root may read every file
    with pytest.raises(UserError, match='found "Permission denied"'):
        described(tmp_path, {'path': tmp_path / 'table.csv'})


HARMLESS = {
    'byte order mark': csv(b'\xef\xbb\xbf' + text().encode()),
    'semicolons': csv(text(delimiter=';')),
    'tabs': csv(text(delimiter='\t')),
    'carriage returns': csv(text().replace('\n', '\r\n')),
    'quotes and spaces': csv(text(header='"a", "b" ,c').replace(',', ', ')),
    'no end of the last line': csv(text().rstrip('\n')),
    'quote that ends with the file': csv(text() + '1,2,"3'),
    'no names': csv('\n'.join(text().splitlines()[1:])),
    'columns in another order': split_files('c,b,a'),
    'truth values': csv(text(header='a,b,c,d').replace('\n', ',True\n').replace('d,True', 'd').replace(
        'True', 'False', 7)),
    'bounds that hold': given(csv(text()), bounds='a:-9..9.5, b:..9'),
    'a home of its own': lambda folder: {'path': pathlib.Path(csv(text())(folder)['path'])},
    'columns first': npy(np.asfortranarray(TABLE)),
    'float16': npy(TABLE.astype(np.float16)),
    'several files': lambda folder: csv(text())(folder) and {'path': folder / '*.csv'},
    'npz': NPZ,
    'parquet': PARQUET,
    'hdf5': hdf5(x=TABLE),
    'hdf5 of splits': hdf5(train=TABLE, validation=TABLE[:5], test=TABLE[:6]),
    'scikit-learn': lambda folder: {'path': 'sklearn:wine'},
}  # fmt: skip


@pytest.mark.parametrize('name', HARMLESS)
def test_file_that_looks_odd_but_can_be_used_is(tmp_path, name):
    known = described(tmp_path, HARMLESS[name](tmp_path))
    assert known.num_features >= 3
    assert sum(known.split_sizes) >= ROWS
