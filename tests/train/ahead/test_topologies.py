"""Slices by their names, the least time on one, and a real program for a TPU where libtpu is installed."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import jax
import pytest

from train.ahead import topologies
from train.ahead.chips import CHIPS
from train.ahead.roofline import roofline
from train.ahead.topologies import Topology
from train.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[3]
needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec('libtpu') is None, reason='compiles for a TPU, which libtpu does'
)


@pytest.mark.parametrize(
    ('name', 'links'),
    [
        ('v5e:1x1', 0),
        ('v5e:2x2', 2),
        ('v5e:2x4', 2),
        ('v5e:16x16', 4),
        ('v4:2x2x1', 2),
        ('v4:4x4x8', 6),
    ],
)
def test_chip_at_the_corner_has_fewer_links_unless_axes_are_rings(name, links):
    assert topologies.named(name).links == links


def test_least_time_is_that_of_the_busiest():
    chip = CHIPS['v5e']
    found = roofline(
        topologies.named('v5e:2x4'), products=chip.flops, moved=0, sent=3 * chip.link_bandwidth
    )
    assert (found.products, found.memory, found.network) == (1, 0, 1.5)
    assert (found.seconds, found.bound_by) == (1.5, 'network')
    assert roofline(topologies.named('v5e:1x1'), products=1, moved=2, sent=0).network == 0
    assert roofline(Topology('cpu', ()), products=1, moved=1, sent=0) is None


@pytest.mark.parametrize('name', ['v5e', 'v5e:2', 'v5e:2x2x1', 'v9:2x4', 'v5e:0x4', '2x4', 'tpu'])
def test_unknown_slice_is_one_sentence_with_those_that_are_known(name):
    with pytest.raises(UserError, match=r'such as v5e:2x4 .* v6e \(2 axes\); found'):
        topologies.find(name)


def test_slice_without_libtpu_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'likelihood-zoo\[tpu\]'"):
        topologies.find('v5e:2x4')


def test_devices_that_are_here_are_those_of_jax():
    assert list(topologies.find('cpu').devices) == jax.local_devices()


@pytest.mark.skipif(jax.default_backend() == 'gpu', reason='there is a GPU')
def test_gpu_that_is_not_here_is_one_sentence():
    with pytest.raises(UserError, match='JAX finds no gpu here'):
        topologies.find('gpu')


def compile_for(name, folder, *arguments):
    """The record that the command leaves for a slice."""
    command = (sys.executable, '-m', 'train.compile', f'--topology={name}', *arguments)
    done = subprocess.run(
        [*command, f'--output={folder}/found.json'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / 'found.json').read_text())


def test_command_leaves_its_record(tmp_path):
    found = compile_for('cpu', tmp_path, '--config=configs/toy.py:smoke', '--batch_size=128')
    assert (found['topology'], found['batch_size'], found['D']) == ('cpu', 128, 2)
    assert set(found['programs']) == {'training', 'validation'}
    assert found['command'].endswith('--config=configs/toy.py:smoke --batch_size=128')
    assert 'libtpu' not in found['versions']


@needs_libtpu
@pytest.mark.tpu
@pytest.mark.parametrize(
    ('fields', 'products'),
    [
        (('--config.mlp_flow.gradient=relative',), 6),
        (('--config.mlp_flow.gradient=equivariant', '--config.optimizer=equivariant'), 7),
        (('--config.nonlinearity=spline', '--config.alpha=1.0', '--config.mlp_flow.ends=True'), 8),
    ],
    ids=['relative', 'equivariant', 'splines'],
)
def test_tpu_program_of_the_relative_gradient_has_no_cubic_product(tmp_path, fields, products):
    found = compile_for('v5e:2x4', tmp_path, '--config=configs/digits.py', *fields)
    training, D, rows = found['programs']['training'], found['D'], 8
    assert training['cubic_products'] == 0
    assert training['custom_calls'] == {}
    assert training['flops'] == products * 2 * rows * D**2
    assert [each['kind'] for each in training['collectives']] == ['all-reduce']
    assert 0 < training['roofline']['seconds'] < 1e-4


@needs_libtpu
@pytest.mark.tpu
@pytest.mark.parametrize('name', ['v5e:1x1', 'v4:2x2x1'])
def test_smallest_slices_are_compiled_for(tmp_path, name):
    found = compile_for(name, tmp_path, '--config=configs/digits.py', '--batch_size=64')
    assert found['device_count'] == {'v5e:1x1': 1, 'v4:2x2x1': 4}[name]
    training = found['programs']['training']
    assert len(training['collectives']) == (found['device_count'] > 1)


@needs_libtpu
@pytest.mark.tpu
def test_slice_that_libtpu_does_not_know_is_one_sentence():
    with pytest.raises(UserError, match='libtpu knows no slice v5e:3x5'):
        topologies.find('v5e:3x5')
