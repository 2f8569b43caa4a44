"""Numbers that break: named, kept for inspection, and survived by going back."""

import json

import numpy as np
import pytest
from etils import epath

from tests.helpers import runs
from train import data as datasets
from train.diagnostics import broken_numbers
from train.errors import NonFiniteError
from train.library import pretrained
from train.runtime.checkpoint import Checkpoints
from train.training import experiment as experiments
from train.training import loop


def run(folder, **fields):
    return loop.run(runs.config(**fields), epath.Path(folder))


class Poisoned:
    """A source whose row `row` is not a number from the `start`-th time on that it is read."""

    def __init__(self, source, row, start):
        self._source, self._row, self._left = source, row, start

    def __len__(self):
        return len(self._source)

    def gather(self, indices):
        rows = self._source.gather(indices).copy()
        hit = np.asarray(indices) == self._row
        if hit.any():
            self._left -= 1
            if self._left <= 0:
                rows[hit] = np.nan
        return rows


def test_bad_row_is_named_and_kept_with_the_batch(tmp_path, monkeypatch):
    load = datasets.load

    def poisoned(config):
        data = load(config)
        source = Poisoned(
            data.source('train'), row=7, start=3
        )  # the first reading is the initialisation's
        open_split = data.open_split
        return data.__class__(
            **{
                **vars(data),
                'open_split': lambda split: source if split == 'train' else open_split(split),
            }
        )

    monkeypatch.setattr(datasets, 'load', poisoned)
    with pytest.raises(NonFiniteError, match='of the batch is not finite') as broken:
        run(tmp_path, init_examples=512, epochs=3)
    assert 'The last checkpoint is of step 8.' in str(broken.value)
    kept = np.load(tmp_path / f'broken-{broken.value.step}' / 'batch.npz')
    assert np.isnan(kept['raw'][kept['rows'] == 7]).all()
    assert np.isfinite(kept['raw'][kept['rows'] != 7]).all()


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    run(folder)
    return folder


def frozen(folder):
    """An experiment, its training split and its last state."""
    config = pretrained.read_config(epath.Path(folder))
    experiment = experiments.create(config)
    with Checkpoints(folder) as saved:
        state, _ = saved.restore_latest(experiment.template())
    return experiment, datasets.load(config).source('train'), state


@pytest.mark.parametrize(
    ('gradient', 'method'),
    [('relative', 'gaussian_log_prob'), ('amortised', 'forward_and_log_det')],
)
def test_layer_and_term_are_named(tmp_path, gradient, method):
    run(tmp_path, mlp_flow={'gradient': gradient})
    experiment, source, state = frozen(tmp_path)
    state.params['affine_1']['b'][0] = np.inf
    sentence = broken_numbers.examine(experiment, source, state, 16, epath.Path(tmp_path))
    assert f'affine_1.{method} is the first' in sentence
    assert 'nll_without_log_det_W is not finite' in sentence
    finding = json.loads((tmp_path / 'finding.json').read_text())
    assert finding['step'] == 16
    assert np.isinf(np.load(tmp_path / 'params.npz')["['affine_1']['b']"][0])


def test_gradient_is_named_where_the_terms_are_finite(trained, tmp_path):
    experiment, source, state = frozen(trained)
    # y W^T overflows in the backward pass alone.
    state.params['affine_0']['W'][...] = np.array([[1e-30, 0], [0, 1e30]], np.float32)
    state.params['affine_1']['W'][...] = np.array([[1, 0], [0, 1e-30]], np.float32)
    sentence = broken_numbers.examine(experiment, source, state, 16, epath.Path(tmp_path))
    assert "the gradient of ['affine_0']['W'] overflows" in sentence


def test_rollback_halves_the_rate_until_the_run_gets_through(tmp_path):
    fields = {'optimizer': 'sgd', 'b1': 0.0, 'lr': 1.0, 'num_layers': 3, 'epochs': 2}
    with pytest.raises(NonFiniteError):
        run(tmp_path / 'raise', **fields)
    result = run(tmp_path / 'rollback', on_nan='rollback', max_rollbacks=20, **fields)
    assert result.rollbacks
    scales = [rollback['lr_scale'] for rollback in result.rollbacks]
    assert scales == [0.5 ** (i + 1) for i in range(len(scales))]
    assert np.isfinite(result.nats)


def test_rollbacks_are_bounded(tmp_path):
    fields = {'optimizer': 'sgd', 'b1': 0.0, 'lr': 1e6, 'num_layers': 3, 'max_rollbacks': 2}
    with pytest.raises(NonFiniteError):
        run(tmp_path, on_nan='rollback', **fields)
