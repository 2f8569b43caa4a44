"""Rows that a run is asked about, and tables that are written, in every format."""

import csv
import dataclasses

import numpy as np
import pytest
from etils import epath
from PIL import Image
from pyarrow import parquet

from train.data.base import Description
from train.data.table import Column, Table
from train.errors import UserError
from train.tabular import inputs, output, scores

IMAGES = Description('images', (2, 2, 1), 256, (9, 1, 1), '', '')
LABELLED = dataclasses.replace(IMAGES, context=10, labelled=True)
POINTS = Description('points', (3,), None, (9, 1, 1), '', '')
FOLDER = dataclasses.replace(IMAGES, table=Table(()))
COLOURS = Column('colour', ('blue', 'red'))
TABLE = dataclasses.replace(POINTS, table=Table((Column('a'),), (COLOURS,), ('id',)))


@pytest.mark.parametrize(
    ('known', 'array', 'sentence'),
    [
        (IMAGES, np.zeros((5, 2, 2, 1), np.uint8), ''),
        (IMAGES, np.full((5, 4), 255.0), ''),
        (LABELLED, np.full((5, 5), 9), ''),
        (POINTS, np.zeros((5, 3)), ''),
        (IMAGES, np.zeros((5, 2, 2, 3)), 'rows of 4 numbers, as images has them; found float64'),
        (IMAGES, np.full((5, 4), 256), 'row 1, column 0 of .* must be a whole number, 0 to 255'),
        (IMAGES, np.full((5, 4), 0.5), 'as images stores it; found 0.5: correct it'),
        (LABELLED, np.zeros((5, 4)), 'must hold rows of 5 numbers'),
        (
            LABELLED,
            np.full((5, 5), 10),
            'row 1, column 0 of the context of .* whole number, 0 to 9',
        ),
        (POINTS, np.full((5, 3), np.nan), 'must be finite, as points stores it; found nan'),
        (POINTS, np.zeros((0, 3)), r'found float64 of shape \(0, 3\): save such an array'),
        (POINTS, np.zeros(3), r'found float64 of shape \(3,\)'),
        (POINTS, np.zeros((5, 3), complex), 'found complex128'),
        (POINTS, np.full((5, 3), 'x'), 'found <U1'),
    ],
)
def test_array_of_rows_is_as_the_dataset_stores_them(tmp_path, known, array, sentence):
    np.save(tmp_path / 'x.npy', array)
    if sentence:
        with pytest.raises(UserError, match=sentence):
            inputs.read(str(tmp_path / 'x.npy'), known)
        return
    rows = inputs.read(str(tmp_path / 'x.npy'), known).gather(np.arange(5))
    assert rows.dtype == (np.float32 if known.levels is None else np.uint8)
    np.testing.assert_array_equal(rows, array.reshape(5, -1))


def test_images_are_those_of_a_folder(tmp_path):
    Image.fromarray(np.array([[1, 2], [3, 4]], np.uint8)).save(tmp_path / 'x.png')
    rows = inputs.read(str(tmp_path), FOLDER)
    np.testing.assert_array_equal(rows.gather([0]), [[1, 2, 3, 4]])
    Image.new('L', (3, 2)).save(tmp_path / 'x.png')
    with pytest.raises(UserError, match=r'must hold images of \(2, 2, 1\) .* found \(2, 3, 1\)'):
        inputs.read(str(tmp_path), FOLDER)


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        ('colour,id,a\nred,x,1.5\nblue,,2\n', ''),
        ('colour,a\ngreen,1\n', "row 1 of column 'colour' in x.csv must be a category that training"),
        ('colour,a\nred,\n', "row 1 of column 'a' in x.csv must not be missing"),
        ('colour,a\n', 'must hold rows; found none'),
        ('colour,a,b\nred,1,2\n', "found 'b': drop or rename that column"),
    ],
)  # fmt: skip
def test_rows_of_a_table_are_coded_as_in_training(tmp_path, content, sentence):
    (tmp_path / 'x.csv').write_text(content)
    if sentence:
        with pytest.raises(UserError, match=sentence):
            inputs.read(str(tmp_path / 'x.csv'), TABLE)
        return
    rows = inputs.read(str(tmp_path / 'x.csv'), TABLE)
    np.testing.assert_array_equal(rows.gather([0, 1]), [[1.5, 1], [2, 0]])


def test_written_tables_are_read_back(tmp_path):
    numbers = np.array([0.1, 1e-30, -2e30], np.float32)
    columns = {'x, y': numbers, 'colour': ['red', 'a "b"', '']}
    for ending in output.FORMATS:
        output.write(epath.Path(tmp_path / f't.{ending}'), columns)
    with open(tmp_path / 't.csv', newline='') as file:
        names, *rows = csv.reader(file)
    assert names == list(columns)
    np.testing.assert_array_equal(np.array([row[0] for row in rows], np.float32), numbers)
    assert [row[1] for row in rows] == columns['colour']
    array = np.load(tmp_path / 't.npy')
    np.testing.assert_array_equal(array['x, y'], numbers)
    assert array['colour'].tolist() == columns['colour']
    read = parquet.read_table(tmp_path / 't.parquet').to_pydict()
    np.testing.assert_array_equal(np.array(read['x, y'], np.float32), numbers)
    assert read['colour'] == columns['colour']
    assert len(list(tmp_path.iterdir())) == len(output.FORMATS)
    with pytest.raises(UserError, match=r"by the ending of its file; found 't\.xls'"):
        output.write(epath.Path(tmp_path / 't.xls'), columns)


def test_quantile_is_the_part_of_training_rows_that_score_no_higher():
    found = scores.quantiles(np.array([-np.inf, 1, 2.5, 9]), np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(found, [0, 0.25, 0.5, 1])
