"""`fit` and `load`: arrays in, the trainer's own figures out, in the units of the data."""

import gc
import pathlib
import re
import shutil

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from etils import epath
from scipy.stats import multivariate_normal

from tests.helpers import runs
from tests.train.test_commands import command
from train import fit, load
from train.data import registry
from train.data.base import Data, Description
from train.data.splitting import split_rows, split_sizes
from train.data.storage.sources import ArraySource
from train.errors import StoppedError, UserError
from train.library import pretrained
from train.library.trained import numbers
from train.training import loop

X = np.random.default_rng(0).normal(size=(500, 2)) @ np.array([[3.0, 0.5], [0.0, 0.2]]) + [40, -7]
CLASSES = np.arange(500) % 3
FIELDS = {'epochs': 2, 'num_devices': 1, 'mute': True}
FLOW = {'model': 'maf', 'num_layers': 1, 'maf': {'width': 8, 'depth': 1}, **FIELDS}


@pytest.fixture(scope='module')
def run():
    return fit(X, **FLOW)


@pytest.fixture(scope='module')
def by_class():
    moved = X + 10 * CLASSES[:, None]
    return fit(moved, context=CLASSES, model='gaussian', **FIELDS)


class SameRows:
    """The rows of `run` as a dataset of its own."""

    def describe(self, config):
        return Description('same', (2,), None, split_sizes(len(X)), '', '')

    def load(self, config):
        rows, places = X.astype(np.float32), split_rows(len(X), config.seed)
        return Data(self.describe(config), lambda name: ArraySource(rows[places[name]]), 'same')


def test_figures_are_those_of_the_rows_as_a_dataset_to_the_bit(tmp_path, run, monkeypatch):
    config = pretrained.read_config(run.folder)
    config.dataset = 'same'
    monkeypatch.setitem(registry.DATASETS, 'same', SameRows())
    monkeypatch.setattr('train.config.check', lambda config: None)  # which knows the names
    result = loop.run(ml_collections.FrozenConfigDict(config), epath.Path(tmp_path), mute=True)
    assert (result.nats, result.nats_data_space) == (run.result.nats, run.result.nats_data_space)
    assert result.validation_loss == run.result.validation_loss
    assert result.test_evaluations == run.result.test_evaluations == 1


def test_log_prob_is_in_nats_of_the_data_and_that_of_the_evaluation(run):
    test = X[split_rows(len(X), 42)['test']]
    assert run.log_prob(test).mean() == run.result.nats_data_space


class Frame:
    """What is used of a table of pandas."""

    def __init__(self, values, columns):
        self.values, self.columns = values, columns

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)

    def __getitem__(self, columns):
        return Frame(self.values[:, [self.columns.index(name) for name in columns]], columns)


def test_columns_of_a_table_are_found_by_name():
    table, context = Frame(X, ['a', 'b,"']), Frame(np.stack([X[:, 1], X[:, 0]], 1), ['c', 'd'])
    run = fit(table, context=context, **FLOW)
    expected = run.log_prob(X[:9], context=context.values[:9])
    turned = Frame(X[:9, ::-1], ['b,"', 'a']), Frame(context.values[:9, ::-1], ['d', 'c'])
    np.testing.assert_array_equal(run.log_prob(turned[0], context=turned[1]), expected)
    with pytest.raises(UserError, match=r'x must have the columns .* a, b,", .* found a, z'):
        run.log_prob(Frame(X, ['a', 'z']), context=context)
    with pytest.raises(UserError, match='different names; found a more than once'):
        fit(Frame(X, ['a', 'a']), **FLOW)


def test_run_is_shown_in_a_line(run):
    assert repr(run) == '<maf of array, D = 2>'


def test_saved_run_is_loaded_without_its_rows(tmp_path, run):
    run.save(tmp_path / 'kept')
    loaded = load(tmp_path / 'kept')
    np.testing.assert_array_equal(loaded.log_prob(X[:50]), run.log_prob(X[:50]))
    np.testing.assert_array_equal(loaded.sample(20, seed=3), run.sample(20, seed=3))
    assert loaded.result == run.result
    model, variables, preprocessing = loaded
    z, log_det = preprocessing.forward_and_log_det(jnp.asarray(X[:5], jnp.float32))
    by_hand = model.apply(variables, z, None, 1, method='log_likelihood') + log_det
    np.testing.assert_allclose(loaded.log_prob(X[:5]), by_hand, rtol=1e-5)
    done = command('train.sample', f'--workdir={tmp_path / "kept"}', '--number=20', '--seed=3')
    assert done.returncode == 0, done.stderr
    samples = np.load(tmp_path / 'kept/samples-3.npy')
    np.testing.assert_allclose(samples, run.sample(20, seed=3), rtol=1e-6)
    done = command('train.evaluate', f'--workdir={tmp_path / "kept"}')
    assert done.returncode == 1
    assert 'are in memory only' in done.stderr.splitlines()[-1]


def test_rows_of_each_class_have_their_density(by_class):
    means = [by_class.sample(400, context=label).mean(0) for label in range(3)]
    np.testing.assert_allclose(means, [X.mean(0) + 10 * label for label in range(3)], atol=1.0)
    own = by_class.log_prob(X, context=np.zeros(500, int))
    true = multivariate_normal(X.mean(0), np.cov(X.T)).logpdf(X)
    assert abs(own.mean() - true.mean()) < 0.3
    assert (own > by_class.log_prob(X, context=np.full(500, 2))).all()
    each = by_class.sample(6, context=[0, 1, 2, 0, 1, 2])
    assert (np.diff(each[:3, 1]) > 5).all()
    assert by_class.sample(7).shape == (7, 2)


def test_numbers_as_a_context(tmp_path):
    run = fit(X[:, :1], context=X[:, 1], **FLOW, folder=tmp_path / 'run')
    assert run.experiment.description.context == 1
    assert run.log_prob(X[:4, 0], context=X[:4, 1]).shape == (4,)
    assert run.sample(4, context=X[:4, 1:]).shape == (4, 1)
    finished = (tmp_path / 'run' / 'result.json').stat().st_mtime_ns
    again = fit(X[:, :1], context=X[:, 1], **FLOW, folder=tmp_path / 'run')
    assert (tmp_path / 'run' / 'result.json').stat().st_mtime_ns == finished
    assert again.result == run.result
    with pytest.raises(UserError, match=r'holds another run: array\.digest'):
        fit(X[:, 1:], context=X[:, 1], **FLOW, folder=tmp_path / 'run')


class Table:
    """As pandas's tables are arrays."""

    def __array__(self, dtype=None, copy=None):
        return X.astype(dtype or float)


@pytest.mark.parametrize('x', [Table(), jnp.asarray(X, jnp.float32), X.tolist()], ids=type)
def test_whatever_numpy_takes_is_an_array(x):
    np.testing.assert_array_equal(numbers('x', x), X.astype(np.float32))


REFUSED = {
    'x must hold finite numbers.*found 1 others': lambda: fit([[1.0], [np.nan]]),
    'x must hold numbers alone': lambda: fit([['a'], ['b']]),
    r'x must hold rows, \(N, D\)': lambda: fit(np.zeros((20, 2, 2))),
    'at least 10 rows to be divided 80/10/10; found 3': lambda: fit(X[:3]),
    'must have a row for each of the 500 rows': lambda: fit(X, context=X[:9]),
    'classes, 0 to 999 at most; found -1 to -1': lambda: fit(X, context=np.full(500, -1)),
    'found num_layer': lambda: fit(X, num_layer=3),
    'the type of its default': lambda: fit(X, lr='fast'),
    'has no field': lambda: fit(X, model='gaussian', num_layers=3),
    'without the fields of other datasets; found bounds, dataset': lambda: fit(
        X, bounds='0:0..1', dataset='toy'
    ),
    'config.model must be one of': lambda: fit(X, model='transformer'),
}


@pytest.mark.parametrize('sentence', REFUSED)
def test_arguments_without_sense_are_refused_in_one_sentence(sentence):
    with pytest.raises(UserError, match=sentence) as error:
        REFUSED[sentence]()
    assert '\n' not in str(error.value)


def test_questions_without_sense_are_refused_in_one_sentence(run, by_class, tmp_path):
    (tmp_path / 'file').touch()
    for sentence, ask in {
        'x must hold rows of 2 numbers': lambda: run.log_prob(X.T),
        'needs none': lambda: run.log_prob(X, context=CLASSES),
        'needs one': lambda: by_class.log_prob(X),
        'classes, 0 to 2; found 3': lambda: by_class.sample(2, context=3),
        'one of the classes 0 to 2, for each row': lambda: by_class.sample(2, context=[0, 1, 2]),
        'trained without': lambda: run.sample(2, context=1),
        'n must be at least 1': lambda: run.sample(0),
        'in a new folder': lambda: run.save(tmp_path),
    }.items():
        with pytest.raises(UserError, match=sentence):
            ask()


def test_run_without_a_folder_leaves_nothing_behind():
    run = fit(X, model='gaussian', **FIELDS)
    folder = pathlib.Path(run.folder)
    assert folder.exists()
    del run
    gc.collect()
    assert not folder.exists()


def test_fit_that_is_stopped_names_the_folder_where_it_goes_on(monkeypatch):
    runs.term_after(monkeypatch, 1)
    with pytest.raises(StoppedError, match=r'The run is in .*: fit with folder=') as stopped:
        fit(X, **FLOW)
    folder = re.search(r"folder='(.*)'", str(stopped.value)).group(1)
    monkeypatch.undo()
    assert fit(X, **FLOW, folder=folder).result.epochs == 2
    shutil.rmtree(folder)
