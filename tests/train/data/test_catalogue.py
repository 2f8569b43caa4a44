"""`python -m train.prepare`: datasets by name, the table of all, one line where something is wrong."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import train
from tests.helpers import maf_samples
from train import data
from train.data import catalogue
from train.data.acquisition import server_probe
from train.data.datasets.maf import tables
from train.data.datasets.maf.dataset import MafDataset
from train.data.datasets.toy_densities import TOYS
from train.errors import UserError
from train.figures import datasets, plots


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine of its own, without a network."""
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.setattr(server_probe, 'unreachable', lambda url: 'no network')
    return tmp_path


def prepare(*arguments):
    return subprocess.run(
        [sys.executable, '-m', 'train.prepare', *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(pathlib.Path(train.__file__).parents[1])},
        check=False,
    )


def test_bundled_dataset_is_ready():
    assert catalogue.prepare(catalogue.config_of('digits')) == [
        'digits: train 1,437, validation 180, test 180 examples of 64 numbers',
        'digits: needs no file',
    ]


def test_unknown_dataset_is_one_line_and_exit_code_one():
    done = prepare('--dataset=imagenet')
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("unknown dataset 'imagenet'; config.dataset is one of: binarised_mnist")
    assert all(name in line for name in data.DATASETS)


def test_picture_of_images_has_the_first_training_rows(monkeypatch):
    monkeypatch.setattr(plots, 'figure_png', lambda figure: figure)
    config = catalogue.config_of('digits')
    (axes,) = datasets.png(config).axes
    shown = axes.get_images()[0].get_array()
    assert shown.shape == (10 * 10, 10 * 10)
    rows = data.load(config).source('train').gather([0, 11]).reshape(2, 8, 8) / 16
    np.testing.assert_allclose(shown[1:9, 1:9], rows[0])
    np.testing.assert_allclose(shown[11:19, 11:19], rows[1])


def test_picture_of_toy_has_every_density(machine, monkeypatch):
    monkeypatch.setattr(plots, 'figure_png', lambda figure: figure)
    axes = datasets.png(catalogue.config_of('toy')).axes
    assert [panel.get_title() for panel in axes] == list(TOYS)
    for panel in axes:
        x, y = panel.get_lines()[0].get_data()
        assert len(x) == len(y) == 2000
    x, _ = axes[list(TOYS).index('checkerboard')].get_lines()[0].get_data()
    assert -4 <= x.min() < -3.9 < 3.9 < x.max() <= 4


def test_picture_is_a_file_by_the_command_and_refused_where_there_is_none(machine):
    done = prepare('--dataset=digits', f'--picture={machine / "digits.png"}')
    assert done.returncode == 0, done.stderr
    assert (machine / 'digits.png').read_bytes().startswith(b'\x89PNG')
    with pytest.raises(UserError, match='found power with rows of 6 numbers'):
        datasets.png(catalogue.config_of('power'))


def test_listing_names_every_dataset_with_its_figures(machine):
    header, *lines = catalogue.listing()
    assert header.split() == [
        'dataset', 'D', 'train', 'validation', 'test', 'prepared', 'here', 'licence', 'source',
    ]  # fmt: skip
    assert [line.split()[0] for line in lines] == list(data.DATASETS)
    power = next(line for line in lines if line.startswith('power '))
    for part in ('6', '1,659,917', '184,435', '204,928', 'no', 'CC BY 4.0', 'Zenodo record'):
        assert part in power
    assert 'needs no file' in next(line for line in lines if line.startswith('toy '))
    assert not (machine / 'home').exists()  # looking makes nothing


def test_listing_tells_what_is_prepared_and_what_is_damaged(machine, monkeypatch):
    folder = maf_samples.write(machine / 'maf')
    monkeypatch.setattr(tables.Table, 'read', lambda self, folder: self.process(
        *(pathlib.Path(folder) / file for file in self.files)))  # fmt: skip
    fields = {'data_dir': str(machine / 'tfds')}
    location = (
        MafDataset.of(tables.MINIBOONE)
        .load(catalogue.config_of('miniboone', manual_dir=str(folder), **fields))
        .location
    )
    line = next(line for line in catalogue.listing(**fields) if line.startswith('miniboone'))
    assert str(location) in line
    (machine / 'tfds/miniboone' / tables.VERSION / 'dataset_info.json').write_text('{')
    line = next(line for line in catalogue.listing(**fields) if line.startswith('miniboone'))
    assert 'damaged' in line


@pytest.mark.parametrize('name', ['fashion_mnist', 'cifar10', 'svhn_cropped', 'omniglot'])
def test_dataset_that_is_nowhere_is_one_sentence(machine, name):
    (machine / 'empty').mkdir()
    config = catalogue.config_of(name, manual_dir=str(machine / 'empty'))
    with pytest.raises(
        UserError, match=rf'{name} was not found.*no network.*set manual_dir'
    ) as error:
        catalogue.prepare(config)
    assert '\n' not in str(error.value)
