"""Whole runs on a toy density: finish, repeat, extend, stop early, resume to the bit, restore for use."""

import dataclasses
import json
import logging
import re
import shutil
import signal
import threading

import jax
import numpy as np
import pytest
from etils import epath

from tests.helpers import runs
from tests.helpers.runs import latest, term_after
from train import load
from train.data.datasets import toy_densities
from train.errors import StoppedError, UserError
from train.library import pretrained
from train.training import experiment as experiments
from train.training import loop


def run(tmp_path, **fields):
    return loop.run(runs.config(**fields), epath.Path(tmp_path))


def metrics(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A finished run of four epochs."""
    folder = tmp_path_factory.mktemp('finished')
    return folder, run(folder, epochs=4, tensorboard=True, generation=True, generation_every=2)


def test_result_names_what_is_needed_to_trust_it(finished):
    folder, result = finished
    assert json.loads((folder / 'result.json').read_text()) == result.to_json()
    assert result.epochs == 4
    assert result.N == 512
    assert result.D == 2
    assert result.split == 'test'
    assert result.exact is True
    assert result.test_evaluations == 1
    assert result.nats == pytest.approx(result.nats_data_space)
    assert result.config['toy_name'] == 'sine'
    assert {'jax', 'flax'} <= result.versions.keys()
    assert len((folder / 'test_evaluations.jsonl').read_text().splitlines()) == 1


def test_run_leaves_metrics_pictures_and_events(finished):
    folder, _ = finished
    lines = metrics(folder)
    assert [line['epoch'] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]['validation_nll'] < lines[0]['validation_nll']
    assert 'nll_without_log_det_W' in lines[0]
    assert 'loss' not in lines[0]
    for name in ('learning_curve', 'samples', 'samples_density', 'final_samples'):
        assert (folder / f'{name}.png').read_bytes().startswith(b'\x89PNG')
    assert any((folder / 'tensorboard').iterdir())


def test_lines_say_what_an_epoch_took(finished):
    folder, _ = finished
    for line in metrics(folder):
        # Validation is part of an epoch, and not of the speed of the steps.
        assert line['epoch_seconds'] > 8 / line['steps_per_second'] > 0
        assert 'validation_bits_per_dim' not in line  # points in the plane have no grey levels


def test_muted_run_prints_no_line(tmp_path, capsys):
    config = runs.config(epochs=1, toy_size=64)
    loop.run(config, epath.Path(tmp_path / 'muted'), mute=True)
    assert capsys.readouterr().out == ''
    loop.run(config, epath.Path(tmp_path / 'plain'))
    assert re.fullmatch(
        r'1/1  validation -?[\d.]+ \+- [\d.]+ nats  best  [\d.]+ steps/s\n', capsys.readouterr().out
    )
    assert runs.metrics(tmp_path / 'muted') == runs.metrics(tmp_path / 'plain')


def test_bits_per_dimension_of_an_epoch_are_those_of_the_result(tmp_path):
    image = {'dataset': 'digits', 'preprocessing': 'logit', 'logit_lambda': 0.05, 'max_rows': 128}
    result = run(tmp_path, epochs=1, final_split='validation', lr=1e-3, **image)
    (line,) = metrics(tmp_path)
    assert line['validation_bits_per_dim'] == pytest.approx(result.bits_per_dim, rel=1e-12)


def test_same_command_again_reports_the_finished_run(finished):
    folder, result = finished
    before = sorted(path.stat().st_mtime_ns for path in folder.rglob('*'))
    assert run(folder, epochs=4, tensorboard=True) == result
    assert sorted(path.stat().st_mtime_ns for path in folder.rglob('*')) == before


def test_extended_run_equals_a_longer_one_to_the_bit(tmp_path):
    run(tmp_path / 'parts', epochs=2)
    run(tmp_path / 'parts', epochs=3)
    run(tmp_path / 'whole', epochs=3)
    runs.assert_same_bits(latest(tmp_path / 'parts')[0], latest(tmp_path / 'whole')[0])
    assert runs.metrics(tmp_path / 'parts') == runs.metrics(tmp_path / 'whole')


def test_splits_of_one_example_have_no_error(tmp_path):
    result = run(tmp_path, epochs=1, max_rows=1, batch_size=1)
    assert (result.N, result.nats_2se) == (1, None)
    stored = json.loads((tmp_path / 'result.json').read_text())
    assert (stored['nats_data_space_2se'], stored['nats']) == (None, result.nats)
    (line,) = metrics(tmp_path)
    assert 'validation_nll' in line
    assert 'validation_nll_2se' not in line


@pytest.mark.parametrize('count', [2, 3, 4])
def test_run_stopped_in_an_epoch_resumes_to_the_same_bits(tmp_path, monkeypatch, count):
    # Eight steps an epoch in calls of 3, 3 and 2: calls 2 and 4 are within an epoch, call 3 ends one.
    with monkeypatch.context() as patch:
        term_after(patch, count)
        with pytest.raises(StoppedError) as stopped:
            run(tmp_path / 'parts')
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    assert stopped.value.step == {2: 6, 3: 8, 4: 11}[count]
    assert latest(tmp_path / 'parts')[1]['step'] == stopped.value.step
    parts = run(tmp_path / 'parts')
    whole = run(tmp_path / 'whole')
    runs.assert_same_bits(latest(tmp_path / 'parts')[0], latest(tmp_path / 'whole')[0])
    assert parts.nats == whole.nats


def test_signal_handlers_are_put_back(finished):
    assert threading.current_thread() is threading.main_thread()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_stops_early_and_reports_the_best_epoch(tmp_path):
    result = run(tmp_path, epochs=50, look_ahead=2, lr=0.3)
    lines = metrics(tmp_path)
    losses = [line['validation_nll'] for line in lines]
    assert result.stopped_early
    assert result.epochs == len(lines) < 50
    assert result.best_epoch == int(np.argmin(losses)) + 1 == len(lines) - 2
    assert result.validation_loss == min(losses)
    # Further epochs would not go on from an early stop.
    assert run(tmp_path, epochs=80, look_ahead=2, lr=0.3) == result


def test_loaded_model_gives_the_validation_loss_of_the_best_epoch(finished):
    folder, result = finished
    model, variables, preprocessing = load(folder)
    experiment = experiments.create(runs.config(epochs=4))
    from train import data as datasets

    source = datasets.load(experiment.config).source('validation')
    x, log_det = preprocessing.forward_and_log_det(source.gather(np.arange(512)))
    nll = -model.apply(variables, x, None, 1, method='log_likelihood').mean()
    assert float(nll) == pytest.approx(result.validation_loss, rel=1e-5)
    assert float(np.abs(log_det).max()) == 0.0


def test_workdir_of_another_run_is_refused_and_kept(finished):
    folder, result = finished
    with pytest.raises(UserError, match=r'num_layers \(2 there, 3 here\)'):
        run(folder, num_layers=3)
    assert json.loads((folder / 'result.json').read_text()) == result.to_json()


def test_warm_start_takes_the_best_parameters(tmp_path, finished):
    folder, _ = finished
    _, variables, _ = load(folder)
    started = run(tmp_path / 'warm', init_from=str(folder), lr=0.0, epochs=1)
    state, _ = latest(tmp_path / 'warm')
    runs.assert_same_bits(state.params, jax.device_get(variables['params']))
    assert started.nats == pytest.approx(run(folder, epochs=4).nats)
    with pytest.raises(UserError, match='shapes of this model'):
        run(tmp_path / 'other', init_from=str(folder), num_layers=3)


def test_warm_start_goes_on_by_another_way_to_the_gradient(tmp_path, finished):
    folder, _ = finished
    equivariant = {'mlp_flow.gradient': 'equivariant', 'optimizer': 'equivariant'}
    run(tmp_path / 'first', init_from=str(folder), lr=0.0, epochs=1, **equivariant)
    then = {'init_from': str(tmp_path / 'first'), 'mlp_flow.gradient': 'amortised'}
    run(tmp_path / 'then', lr=0.0, epochs=1, **then)
    state, _ = latest(tmp_path / 'then')
    runs.assert_same_bits(state.params, jax.device_get(load(folder)[1]['params']))
    for layer, V in zip(
        state.params.values(), state.model_state['cache']['inverses'].V, strict=True
    ):
        np.testing.assert_allclose(V.T @ layer['W'], np.eye(2), atol=1e-5)


def test_average_of_parameters_is_what_gets_evaluated(tmp_path):
    run(tmp_path, ema=0.9, epochs=1)
    state, _ = latest(tmp_path)
    assert state.variables['params'] is state.average
    differences = jax.tree.map(lambda a, b: np.abs(a - b).max(), state.params, state.average)
    assert min(jax.tree.leaves(differences)) > 0


@pytest.mark.parametrize(('eval_every', 'expected'), [(2, [2]), (5, [])])
def test_epochs_without_validation_are_saved(tmp_path, eval_every, expected):
    result = run(tmp_path, epochs=3, eval_every=eval_every)
    validated = [line['epoch'] for line in metrics(tmp_path) if 'validation_nll' in line]
    assert validated == expected
    assert latest(tmp_path)[1]['step'] == 24
    # Without any validation the newest checkpoint is the one that is tested.
    assert result.best_step == (16 if expected else 24)


def test_reading_a_run_leaves_the_save_of_another_process_alone(finished):
    folder, _ = finished
    under_way = folder / 'checkpoints' / '99.orbax-checkpoint-tmp'
    under_way.mkdir()
    load(folder)
    assert under_way.exists()
    under_way.rmdir()


def test_run_of_eight_devices_loads_on_any_number(tmp_path):
    run(tmp_path, num_devices=8, epochs=1)
    config = pretrained.read_config(epath.Path(tmp_path))
    config.num_devices = 64
    (tmp_path / 'config.json').write_text(config.to_json())
    model, variables, _ = load(tmp_path)
    assert np.isfinite(
        model.apply(variables, np.zeros((3, 2), np.float32), method='log_likelihood')
    ).all()


def test_comparing_candidates_leaves_the_test_split_closed(tmp_path):
    workdir = epath.Path(tmp_path)
    found = loop.run(runs.config(final_split='validation'), workdir)
    assert found.split == 'validation'
    np.testing.assert_allclose(-found.nats, found.validation_loss, rtol=1e-6)
    assert not (workdir / 'test_evaluations.jsonl').exists()
    chosen = loop.run(runs.config(), workdir)
    assert (chosen.split, chosen.test_evaluations) == ('test', 1)
    assert chosen.best_step == found.best_step


def test_run_goes_on_with_its_own_rows_alone(tmp_path, monkeypatch):
    run(tmp_path, epochs=1)
    assert latest(tmp_path)[1]['data'] == 'toy-sine-1-512-seed42'
    other = dataclasses.replace(toy_densities.TOYS['sine'], edition=2)
    monkeypatch.setitem(toy_densities.TOYS, 'sine', other)
    with pytest.raises(
        UserError, match=r'goes on with the rows .* toy-sine-1-.*; found toy-sine-2'
    ):
        run(tmp_path, epochs=2)


def test_profile_is_of_the_second_call_whichever_epoch_has_it(tmp_path):
    run(tmp_path, epochs=2, steps_per_call=50, profile_steps=3)
    assert list((tmp_path / 'profile').rglob('*.xplane.pb'))


def test_damaged_best_checkpoint_shows_when_the_run_goes_on(tmp_path, caplog):
    # At such a rate the second epoch is worse than the first, and the third better.
    run(tmp_path, epochs=2, lr=3.0)
    assert latest(tmp_path)[1]['stopping']['best_epoch'] == 1
    shutil.rmtree(tmp_path / 'checkpoints' / '8' / 'state')
    with caplog.at_level(logging.WARNING):
        assert run(tmp_path, epochs=3, lr=3.0).best_epoch == 3
    assert 'The best checkpoint, of step 8, cannot be read' in caplog.text
