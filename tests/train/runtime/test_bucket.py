"""Runs in a bucket of Google Cloud Storage, on a server on this machine."""

import errno
import json
import os
import pathlib
import subprocess
import sys
import threading

import pytest
from etils import epath
from etils.epath import backend

import train
from tests.helpers import bucket_server, runs
from train.errors import UserError
from train.library import pretrained
from train.runtime import buckets, disk, kinds, workdir
from train.runtime.checkpoint import Checkpoints
from train.runtime.lease import Lease
from train.training import loop

ROOT = pathlib.Path(__file__).resolve().parents[3]
needs_server = pytest.mark.skipif(
    bool(bucket_server.missing()), reason=f'not installed: {bucket_server.missing()}'
)


@pytest.fixture(scope='module')
def bucket():
    """gs://zoo, empty at first."""
    with pytest.MonkeyPatch.context() as patch, bucket_server.serving('zoo') as url:
        for name, value in bucket_server.environment(url).items():
            patch.setenv(name, value)
        backend.fsspec_backend._get_filesystem.cache_clear()
        yield 'gs://zoo'
        backend.fsspec_backend._get_filesystem.cache_clear()


# Orbax leaves an event loop behind where a checkpoint cannot be read.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@needs_server
def test_a_run_goes_on_and_is_used_there(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = runs.config(generation=True, generation_every=1, tensorboard=True)
    folder = workdir.resolve(f'{bucket}/runs/one')
    result = loop.run(config, folder)
    names = {'config.json', 'metrics.jsonl', 'result.json', 'test_evaluations.jsonl'}
    pictures = {'samples.png', 'learning_curve.png', 'final_samples_density.png'}
    folders = {'checkpoints', 'tensorboard'}
    there = {path.name for path in folder.iterdir()}
    assert names | pictures | folders <= there
    assert not {name for name in there if name.endswith('.tmp') or name.startswith('lease')}
    assert json.loads((folder / 'result.json').read_text()) == result.to_json()
    # Nothing went to the local disk under the bucket's name.
    assert not list(tmp_path.iterdir())
    assert loop.run(config, folder) == result
    local = loop.run(config, epath.Path(tmp_path / 'local'))
    assert (local.nats, local.best_step) == (result.nats, result.best_step)
    assert train.load(folder).sample(3).shape == (3, 2)
    # A checkpoint without its mark was never finished; a damaged one is moved away.
    assert workdir.steps(folder) == [8, 16]
    (folder / 'checkpoints' / '24' / 'record' / 'metadata').write_text('{')
    (folder / 'checkpoints' / '16' / 'state' / 'manifest.ocdbt').write_text('')
    assert workdir.steps(folder) == [8, 16]
    state, record = runs.latest(folder)
    assert record['step'] == 8
    assert {path.name for path in (folder / 'checkpoints').iterdir()} == {'8', 'bad-16'}
    runs.assert_same_bits(state, checkpoint_of(tmp_path / 'local', 8, state))


def checkpoint_of(folder, step, template):
    with Checkpoints(folder, read_only=True) as saved:
        return saved.restore(step, template)[0]


@needs_server
def test_of_two_that_start_at_once_one_runs(bucket):
    folder = epath.Path(f'{bucket}/leased')
    barrier, outcomes = threading.Barrier(2), []

    def start():
        barrier.wait()
        try:
            lease = Lease(folder).__enter__()
            outcomes.append(lease)
        except UserError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (held,) = [outcome for outcome in outcomes if isinstance(outcome, Lease)]
    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert f'{folder} is in use by process {os.getpid()}' in refused
    held.__exit__()
    assert not (folder / 'lease.json').exists()
    # A lease that a killed process left is taken over.
    dead = {'host': 'elsewhere', 'pid': 1, 'started': 0, 'heartbeat': 0}
    (folder / 'lease.json').write_text(json.dumps(dead))
    with Lease(folder):
        assert json.loads((folder / 'lease.json').read_text())['pid'] == os.getpid()


@needs_server
def test_a_write_that_comes_second_changes_nothing(bucket):
    path = epath.Path(f'{bucket}/object')
    assert buckets.write_unless_changed(path, 'first', since=buckets.generation(path))
    found = buckets.generation(path)
    assert not buckets.write_unless_changed(path, 'second', since=0)
    assert buckets.write_unless_changed(path, 'third', since=found)
    assert not buckets.write_unless_changed(path, 'fourth', since=found)
    assert path.read_text() == 'third'


@needs_server
def test_a_bucket_that_is_not_there_is_one_sentence(bucket):
    with pytest.raises(UserError, match=r'gs://other/run must be in reach \(NotFound.*rights'):
        kinds.check(workdir.resolve('gs://other/run'), 'run')


def test_other_stores_and_missing_packages_are_one_sentence(monkeypatch):
    with pytest.raises(UserError, match=r'A run lies on a disk or in a bucket.*s3://bucket/run'):
        kinds.check(workdir.resolve('s3://bucket/run'), 'run')
    monkeypatch.setitem(sys.modules, 'gcsfs', None)
    for touch in (lambda folder: kinds.check(folder, 'run'), pretrained.read_config):
        with pytest.raises(UserError, match=r"pip install 'likelihood-zoo\[cloud\]'"):
            touch(workdir.resolve('gs://bucket/run'))


def test_an_error_of_the_access_is_one_sentence_in_a_bucket_alone():
    error = OSError('Forbidden: bucket/run')
    sentence = pytest.raises(UserError, match=r'can no longer be written \(Forbidden')
    with sentence, disk.disk_errors('gs://bucket/run'):
        raise error
    with pytest.raises(OSError, match='Forbidden'), disk.disk_errors('/run'):
        raise error
    with pytest.raises(ValueError, match='a bug'), disk.disk_errors('gs://bucket/run'):
        raise ValueError('a bug')


@pytest.mark.parametrize(
    ('number', 'file', 'is_of_the_folder'),
    [
        (errno.ENOENT, '/data/cache/train.npy', False),
        (errno.EACCES, '/run/metrics.jsonl', True),
        (errno.EACCES, '/runs/metrics.jsonl', False),
        (errno.ENOSPC, '/elsewhere', True),
    ],
)
def test_an_error_of_another_file_is_not_taken_for_one_of_the_folder(
    number, file, is_of_the_folder
):
    kind = UserError if is_of_the_folder else OSError
    sentence = pytest.raises(kind, match='/run can no longer' if is_of_the_folder else file)
    with sentence, disk.disk_errors('/run'):
        raise OSError(number, 'what the system says', file)


def faults(kills):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'tests.bucket_faults', f'--kills={kills}'],
        cwd=ROOT,
        env={**os.environ, 'XLA_FLAGS': ''},
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_server
def test_one_kill_changes_nothing():
    assert faults(1).startswith('1 kills tried')


@needs_server
@pytest.mark.long
def test_ten_kills_change_nothing():
    assert faults(10).startswith('10 kills tried')
