"""A package of somebody else on the trainer: by module:attribute, and installed, by the names of its entry points."""

import importlib
import json
import os
import pathlib
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import numpy as np
import pytest
from etils import epath
from ml_collections import FrozenConfigDict

from tests.helpers import runs
from train import config as defaults
from train import data, fit, load, models, plugins
from train.errors import UserError
from train.library import pretrained
from train.settings import fields
from train.training import loop

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'tests' / 'plugin'
FIELDS = {'preprocessing': 'none', 'epochs': 1, 'batch_size': 64, 'num_devices': 1}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What a test makes known is gone after it."""
    monkeypatch.syspath_prepend(str(PACKAGE))
    added = set(fields.ADDED)
    before = [
        (registry, dict(registry))
        for registry in (models.MODELS, fields.SECTIONS, fields.FIELDS, *fields.OTHERS.values())
    ]
    yield
    for registry, content in before:
        registry.clear()
        registry.update(content)
    fields.ADDED.clear()
    fields.ADDED.update(added)


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """A folder with the package's metadata, as pip leaves it."""
    target = tmp_path_factory.mktemp('site')
    project = tomllib.loads((PACKAGE / 'pyproject.toml').read_text())['project']
    info = target / 'zoo_plugin-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: zoo-plugin\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text(
        '\n'.join(
            f'[{group}]\n' + '\n'.join(f'{name} = {value}' for name, value in points.items())
            for group, points in project['entry-points'].items()
        )
    )
    (target / 'zoo_plugin').symlink_to(PACKAGE / 'zoo_plugin')
    return target


def command(target, module, *arguments):
    """A command in a process that finds what is installed in a folder, or, with '', in none."""
    path = os.pathsep.join(filter(None, [str(target), str(ROOT)]))
    return subprocess.run(
        [sys.executable, '-m', module, *arguments],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': path, 'XLA_FLAGS': ''},
        capture_output=True,
        text=True,
        timeout=300,
    )


def config(**values):
    named = {key: values[key] for key in ('model', 'dataset') if ':' in values.get(key, '')}
    base = defaults.get_config(**named)
    base.update(defaults.nested({**defaults.flat(runs.config()), **FIELDS, **values}))
    return FrozenConfigDict(base)


def test_function_a_dataset_and_a_preset_train_resume_and_are_loaded_again(tmp_path):
    own = {
        'model': 'zoo_plugin.models:chain',
        'dataset': 'zoo_plugin.data:waves',
        'preprocessing': 'zoo_plugin.data:halved',
        'waves.height': 0.5,
    }
    loop.run(config(**own, epochs=1), epath.Path(tmp_path), mute=True)
    result = loop.run(config(**own, epochs=2), epath.Path(tmp_path), mute=True)
    assert result.epochs == 2
    stored = json.loads((tmp_path / 'config.json').read_text())
    assert stored['waves'] == {'height': 0.5}
    assert stored['preprocessing'] == 'zoo_plugin.data:halved'
    test = data.load(pretrained.read_config(epath.Path(tmp_path))).source('test')
    trained = load(tmp_path)
    assert trained.log_prob(test.gather(np.arange(256))).mean() == result.nats_data_space
    assert trained.preprocessing.bijectors[0].std.tolist() == [2, 2]
    with pytest.raises(UserError, match=r'holds another run: waves\.height'):
        loop.run(config(**{**own, 'waves.height': 2.0}), epath.Path(tmp_path), mute=True)


def test_config_holds_the_fields_of_its_own_plugins_alone():
    plugins.use({'model': 'zoo_plugin.models:whitened', 'dataset': 'zoo_plugin.data:waves'})
    settled = defaults.settled(config(dataset='zoo_plugin.data:waves'))
    assert settled.waves.height == 1.0
    assert 'whitened' not in settled
    assert {'whitened', 'waves'} <= set(defaults.get_config())
    with pytest.raises(UserError, match=r'has no field whitened\.depth'):
        defaults.check_fields(config(**{'whitened.depth': 2}))


def test_fit_takes_a_model_of_ones_own():
    x = np.random.default_rng(0).normal(size=(200, 2))
    run = fit(x, model='zoo_plugin.models:whitened', epochs=1, num_devices=1, mute=True)
    assert run.experiment.config.whitened.depth == 1
    assert np.isfinite(run.log_prob(x)).all()


def test_entry_points_work_as_if_built_in(tmp_path, installed):
    done = command(installed, 'train.main', '--list')
    assert '  whitened ' in done.stdout
    assert ' waves' in done.stdout
    assert 'cannot be used: config.model=zoo_plugin.models:there_is_none' in ' '.join(
        done.stdout.split()
    )
    changed = [
        'model=whitened',
        'dataset=waves',
        'waves.height=2.0',
        'whitened.depth=2',
        'epochs=1',
    ]
    changed += [
        'preprocessing=none',
        'generation=False',
        'tensorboard=False',
        'mlp_flow.start=orthogonal',
    ]
    changed += ['optimizer=adam', 'alpha=0.01', 'logit_lambda=1e-6']
    arguments = [f'--config.{field}' for field in changed]
    done = command(
        installed,
        'train.main',
        '--config=configs/digits.py:smoke',
        f'--workdir={tmp_path}',
        *arguments,
    )
    assert done.returncode == 0, done.stderr
    done = command(installed, 'train.evaluate', f'--workdir={tmp_path}')
    assert 'Validation set evaluation' in done.stdout, done.stderr
    done = command(installed, 'train.sample', f'--workdir={tmp_path}', '--number=3')
    assert np.load(tmp_path / 'samples-0.npy').shape == (3, 2), done.stderr
    waves = importlib.import_module('zoo_plugin.data').waves
    test = waves.load(SimpleNamespace(seed=42, waves=SimpleNamespace(height=2.0)))
    np.save(tmp_path / 'rows.npy', test.source('test').gather(np.arange(256)))
    files = f'--input={tmp_path}/rows.npy', f'--output={tmp_path}/scores.npy'
    done = command(installed, 'train.score', f'--workdir={tmp_path}', *files)
    assert '256 scores are in' in done.stdout, done.stderr
    density, _ = np.load(tmp_path / 'scores.npy').T
    nats = json.loads((tmp_path / 'result.json').read_text())['nats_data_space']
    assert density.mean() == pytest.approx(nats, rel=1e-6)
    done = command(installed, 'train.prepare', '--dataset=waves')
    assert 'waves: needs no file' in done.stdout, done.stderr
    done = command('', 'train.evaluate', f'--workdir={tmp_path}')
    assert done.returncode == 1
    assert 'or install the package that they belong to' in done.stderr.splitlines()[-1]


def test_cause_of_a_broken_plugin_is_shown_where_it_is_asked_for(installed, tmp_path):
    (tmp_path / 'own.py').write_text(
        'from train import config\n'
        "get_config = lambda: config.get_config(model='zoo_plugin.models:takes_nothing')\n"
    )
    arguments = f'--config={tmp_path}/own.py', f'--workdir={tmp_path}/run'
    done = command(installed, 'train.main', *arguments, '--verbosity=1')
    assert done.returncode == 1
    *before, sentence = done.stderr.splitlines()
    assert sentence.startswith('config.model=zoo_plugin.models:takes_nothing must build a model')
    assert 'Traceback (most recent call last):' in before
    assert not (tmp_path / 'run').exists()
    done = command(installed, 'train.main', *arguments)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, sentence)
    assert 'Traceback' not in done.stderr


REFUSED = {
    'there is no module nowhere: install it': ('model', 'nowhere:build'),
    'has no attribute .bild.': ('model', 'zoo_plugin.models:bild'),
    'must be a function of .* found int': ('model', 'zoo_plugin.models:no_model'),
    r'models:takes_nothing must build .* raised TypeError: takes_nothing\(\)': (
        'model',
        'zoo_plugin.models:takes_nothing',
    ),
    'models:forgets must build .* returned None': ('model', 'zoo_plugin.models:forgets'),
    'models:torn_row must .* raised ValueError: two lines of its own': (
        'model',
        'zoo_plugin.models:torn_row',
    ),
    'must build a Linen module .* without exact': ('model', 'zoo_plugin.models:no_module'),
    'found object without describe, load, locate': ('dataset', 'zoo_plugin.data:no_dataset'),
    'must return a train.data.base.Description': ('dataset', 'zoo_plugin.data:Mute'),
    'Preset; found object': ('preprocessing', 'zoo_plugin.data:no_dataset'),
    'importing .* failed with FileNotFoundError': ('model', 'broken:build'),
}


@pytest.mark.parametrize('sentence', REFUSED)
def test_name_that_leads_nowhere_is_one_sentence(sentence, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / 'broken.py').write_text("open('/there/is/none')\n")
    field, name = REFUSED[sentence]
    with pytest.raises(UserError, match=sentence) as error:
        loop.run(config(**{field: name}), epath.Path(tmp_path / 'run'), mute=True)
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'run').exists()
