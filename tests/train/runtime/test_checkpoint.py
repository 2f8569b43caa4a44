"""Checkpoints: what is kept, what is read back, what happens to damaged ones."""

import dataclasses
import errno
import json
import logging
import math
import pathlib
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath

from train.errors import UserError
from train.runtime import kinds
from train.runtime.checkpoint import Checkpoints, reading
from train.step.state import TrainState
from train.step.stopping import Stopping

# Reading a damaged file may leave exceptions of the storage library's own threads behind.
pytestmark = pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')


def state_at(step):
    """A small state whose arrays name the step."""
    generator = np.random.default_rng(step)
    return TrainState(
        step=np.int32(step),
        seed=np.uint32(3),
        bad_step=np.int32(-1),
        frozen=np.bool_(False),
        lr_scale=np.float32(1),
        params={'W': generator.normal(size=(40, 40)).astype(np.float32)},
        model_state={},
        opt_state=(np.int32(step), {'W': np.ones((40, 40), np.float32)}),
        preprocessing={'mean': np.zeros(3, np.float32)},
    )


def save_all(folder, losses):
    """One checkpoint for each epoch's loss, at steps 1, 2, ...; NaN or inf is no improvement."""
    stopping = Stopping(look_ahead=9)
    with Checkpoints(folder) as saved:
        for step, loss in enumerate(losses, start=1):
            stopping = stopping.update(step, loss)
            record = {'step': step, 'loss': 2.5, 'stopping': dataclasses.asdict(stopping)}
            saved.save(step, state_at(step), record, best_step=stopping.best_epoch)
        saved.wait()
        return saved.steps()


def best_step(folder):
    with reading(folder) as saved:
        state, record, step = saved.restore_best(state_at(0), steps_per_epoch=1)
    assert record['step'] == step == state.step
    return step


@pytest.mark.parametrize(
    ('losses', 'kept', 'best'),
    [
        ([3.0, 2.0, 4.0, 5.0], [2, 3, 4], 2),
        ([3.0, 2.0, 1.0], [2, 3], 3),
        ([1.0, 2.0, 3.0, 4.0], [1, 3, 4], 1),
        ([1.0, 1.0, 1.0, 1.0], [1, 3, 4], 1),  # a tie is no improvement
        ([2.0, math.nan, 3.0, math.nan], [1, 3, 4], 1),  # NaN is never the best
        ([math.inf, math.inf, math.inf], [2, 3], 3),  # no validation at all: the latest
    ],
)
def test_keeps_the_two_latest_and_the_best(tmp_path, losses, kept, best):
    assert save_all(tmp_path, losses) == kept
    assert best_step(tmp_path) == best


@pytest.mark.parametrize('content', ['{"loss": 0.5}', '{"lo', None])
def test_file_of_metrics_beside_a_checkpoint_has_no_say(tmp_path, content):
    save_all(tmp_path, [3.0, 1.0, 2.0, 4.0])
    for step, loss in ((2, 1.0), (3, math.inf), (4, math.inf)):
        folder = tmp_path / 'checkpoints' / str(step) / 'metrics'
        folder.mkdir()
        (folder / 'metrics').write_text(json.dumps({'loss': loss}))
    changed = tmp_path / 'checkpoints' / '3' / 'metrics' / 'metrics'
    changed.unlink() if content is None else changed.write_text(content)
    assert best_step(tmp_path) == 2
    with Checkpoints(tmp_path) as saved:
        stopping = saved.restore_latest(state_at(0))[1]['stopping']
        record = {'step': 5, 'stopping': stopping}
        saved.save(5, state_at(5), record, best_step=stopping['best_epoch'])
        saved.wait()
        assert saved.steps() == [2, 4, 5]


def test_missing_best_checkpoint_is_refused(tmp_path):
    save_all(tmp_path, [1.0, 2.0, 3.0])
    shutil.rmtree(tmp_path / 'checkpoints' / '1')
    with pytest.raises(UserError, match=r'of step 3 that of step 1, found \[2, 3\]'):
        best_step(tmp_path)


def test_best_checkpoint_of_another_run_is_refused(tmp_path):
    save_all(tmp_path / 'this', [1.0, 2.0, 3.0])
    save_all(tmp_path / 'other', [0.5, 2.0, 3.0])
    shutil.rmtree(tmp_path / 'this' / 'checkpoints' / '1')
    shutil.copytree(
        tmp_path / 'other' / 'checkpoints' / '1', tmp_path / 'this' / 'checkpoints' / '1'
    )
    with pytest.raises(UserError, match='must agree on the best epoch and its loss, found'):
        best_step(tmp_path / 'this')


def test_checkpoint_under_the_number_of_another_step_is_refused(tmp_path):
    save_all(tmp_path, [1.0, 2.0])
    (tmp_path / 'checkpoints' / '2').rename(tmp_path / 'checkpoints' / '7')
    with pytest.raises(UserError, match='its record must be of step 7, found 2'):
        best_step(tmp_path)


def test_reading_warns_of_nothing_and_leaves_the_files_as_they_are(tmp_path, caplog):
    save_all(tmp_path, [1.0, 2.0])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')}
    caplog.clear()
    best_step(tmp_path)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')} == before


def test_restores_the_same_bits_in_the_same_structure(tmp_path):
    save_all(tmp_path, [1.0])
    with Checkpoints(tmp_path) as saved:
        state, record = saved.restore_latest(state_at(9))
    assert record['step'] == 1
    assert isinstance(state, TrainState)
    np.testing.assert_array_equal(state.params['W'], state_at(1).params['W'])
    assert isinstance(state.opt_state, tuple)


def test_nothing_to_restore_in_an_empty_folder(tmp_path):
    with Checkpoints(tmp_path) as saved:
        assert saved.restore_latest(state_at(0)) is None


def largest_file(folder):
    return max(
        (p for p in pathlib.Path(folder).rglob('*') if p.is_file()), key=lambda p: p.stat().st_size
    )


def truncate(folder):
    path = largest_file(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove_file(folder):
    largest_file(folder).unlink()


def empty(folder):
    for path in sorted(pathlib.Path(folder).rglob('*'), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def flip_byte(folder):
    path = largest_file(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


def change_record(folder):
    path = folder / 'record' / 'metadata'
    path.write_text(path.read_text().replace('"loss": 2.5', '"loss": 2.4'))


@pytest.mark.parametrize('damage', [truncate, remove_file, empty, flip_byte, change_record])
def test_damaged_newest_checkpoint_is_set_aside_and_the_one_before_is_used(tmp_path, damage):
    save_all(tmp_path, [3.0, 2.0])
    damage(tmp_path / 'checkpoints' / '2')
    with Checkpoints(tmp_path) as saved:
        state, record = saved.restore_latest(state_at(0))
        assert record['step'] == 1
        np.testing.assert_array_equal(state.params['W'], state_at(1).params['W'])
        assert (tmp_path / 'checkpoints' / 'bad-2').exists()
        # The step that was lost can be written again.
        saved.save(2, state_at(2), {'step': 2})
        saved.wait()
        assert saved.steps() == [1, 2]
        assert saved.restore_latest(state_at(0))[1]['step'] == 2


@pytest.mark.parametrize('failures', [1, 2])
def test_read_error_that_passes_sets_no_checkpoint_aside(tmp_path, monkeypatch, failures):
    save_all(tmp_path, [3.0, 2.0])
    restore, left = Checkpoints.restore, [failures]

    def failing(saved, step, template):
        if left[0]:
            left[0] -= 1
            raise ValueError('array') from OSError(errno.EIO, 'Input/output error')
        return restore(saved, step, template)

    monkeypatch.setattr(Checkpoints, 'restore', failing)
    with Checkpoints(tmp_path) as saved:
        if failures == 1:
            assert saved.restore_latest(state_at(0))[1]['step'] == 2
        else:
            with pytest.raises(UserError, match=r'checkpoint of step 2 in .* cannot be read now'):
                saved.restore_latest(state_at(0))
        assert saved.steps() == [1, 2]


def test_empty_folder_that_looks_like_a_step_is_set_aside(tmp_path):
    save_all(tmp_path, [3.0])
    (tmp_path / 'checkpoints' / '7').mkdir()
    with Checkpoints(tmp_path) as saved:
        assert saved.restore_latest(state_at(0))[1]['step'] == 1
    assert (tmp_path / 'checkpoints' / 'bad-7').exists()


def test_says_so_when_no_checkpoint_can_be_read_and_leaves_them(tmp_path):
    save_all(tmp_path, [3.0, 2.0])
    for step in '12':
        truncate(tmp_path / 'checkpoints' / step)
    with Checkpoints(tmp_path) as saved, pytest.raises(UserError, match='none of the checkpoints'):
        saved.restore_latest(state_at(0))
    assert (tmp_path / 'checkpoints' / '2').exists()


def test_says_so_when_the_best_checkpoint_cannot_be_read(tmp_path):
    save_all(tmp_path, [1.0, 2.0])
    truncate(tmp_path / 'checkpoints' / '1')
    with pytest.raises(UserError, match=r'the best checkpoint in .* of step 1, must belong'):
        best_step(tmp_path)


def test_says_so_when_the_newest_checkpoint_which_names_the_best_cannot_be_read(tmp_path):
    save_all(tmp_path, [2.0, 1.0])
    truncate(tmp_path / 'checkpoints' / '2')
    with pytest.raises(UserError, match=r'the newest checkpoint in .* of step 2, must belong'):
        best_step(tmp_path)


@pytest.mark.parametrize(('name', 'expected'), [('stopping', 'run'), ('stoppings', 'study')])
def test_kind_of_a_folder_is_in_its_newest_record(tmp_path, name, expected):
    with Checkpoints(tmp_path) as saved:
        saved.save(1, state_at(1), {'step': 1, name: {}})
    folder = epath.Path(tmp_path)
    assert kinds.kind(folder) == expected
    kinds.check(folder, expected)
    other = {'run': 'study', 'study': 'run'}[expected]
    with pytest.raises(
        UserError, match=f'go on with train.{"main" if expected == "run" else "study"}'
    ):
        kinds.check(folder, other)


def test_checkpoint_of_other_shapes_is_not_taken_for_this_one(tmp_path):
    save_all(tmp_path, [1.0])
    template = state_at(0).replace(params={'W': np.zeros((40, 41), np.float32)})
    expected = r"\['W'\] must have shape \(40, 41\), found \(40, 40\)"
    with Checkpoints(tmp_path) as saved, pytest.raises(ValueError, match=expected):
        saved.restore(1, template)


def test_saving_a_step_twice_is_an_error(tmp_path):
    with Checkpoints(tmp_path) as saved:
        saved.save(5, state_at(5), {'step': 5})
        saved.wait()
        with pytest.raises(RuntimeError, match='step 5 was not written'):
            saved.save(5, state_at(5), {'step': 5})
        with pytest.raises(RuntimeError, match='was not written'):
            saved.save(4, state_at(4), {'step': 4})


def test_template_of_device_arrays_restores_numpy(tmp_path):
    save_all(tmp_path, [1.0])
    template = state_at(0).replace(params={'W': jnp.zeros((40, 40))})
    with Checkpoints(tmp_path) as saved:
        state, _ = saved.restore(1, template)
    assert type(state.params['W']) is np.ndarray
