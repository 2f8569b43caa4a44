"""One run at a time in a workdir, also across kills."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from etils import epath

from train.errors import UserError
from train.runtime.lease import STALE_SECONDS, Lease

HOLD = """
import sys, time
from etils import epath
from train.runtime.lease import Lease
with Lease(epath.Path(sys.argv[1])):
    print('held', flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lease of tmp_path."""
    process = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'held\n'
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_second_run_is_refused_with_the_holder(tmp_path, holder):
    with pytest.raises(UserError, match=f'process {holder.pid}'), Lease(epath.Path(tmp_path)):
        pass
    assert json.loads((tmp_path / 'lease.json').read_text())['pid'] == holder.pid


def test_second_run_of_the_same_process_is_refused(tmp_path):
    with Lease(epath.Path(tmp_path)):
        with pytest.raises(UserError, match='in use'), Lease(epath.Path(tmp_path)):
            pass
        assert (tmp_path / 'lease.json').exists()
    with Lease(epath.Path(tmp_path)):
        pass


def test_lease_does_not_outlive_a_killed_process(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with Lease(epath.Path(tmp_path)):
        assert json.loads((tmp_path / 'lease.json').read_text())['pid'] == os.getpid()
    assert not (tmp_path / 'lease.json').exists()


@pytest.mark.parametrize(('age', 'free'), [(1, False), (STALE_SECONDS + 1, True)])
def test_another_hosts_lease_ends_with_its_heartbeat(tmp_path, age, free):
    owner = {'host': 'elsewhere', 'pid': 1, 'started': 0, 'heartbeat': time.time() - age}
    (tmp_path / 'lease.json').write_text(json.dumps(owner))
    if free:
        with Lease(epath.Path(tmp_path)):
            assert (tmp_path / 'lease.json').exists()
    else:
        with pytest.raises(UserError, match='elsewhere'), Lease(epath.Path(tmp_path)):
            pass


def owner(**fields):
    this = {'host': socket.gethostname(), 'pid': os.getpid(), 'started': 0.0, 'heartbeat': 0.0}
    return json.dumps(this | fields)


@pytest.mark.parametrize(
    'content',
    [
        '',
        '{}',
        '[]',
        '{"pid": 1, "host": "x"}',
        owner(pid='x'),
        owner(pid=-1),
        owner(pid=2**70),
        owner(host='elsewhere', heartbeat='now'),
        owner(started=None),
    ],
    # The owner's process is another in each worker of the suite.
    ids=['empty', '{}', '[]', 'parts', 'pid x', 'pid -1', 'pid 2^70', 'heartbeat now', 'no start'],
)
def test_damaged_lease_does_not_hold(tmp_path, content):
    (tmp_path / 'lease.json').write_text(content)
    with Lease(epath.Path(tmp_path)):
        assert json.loads((tmp_path / 'lease.json').read_text())['pid'] == os.getpid()


def test_reused_process_number_does_not_hold(tmp_path):
    owner = {
        'host': socket.gethostname(),
        'pid': os.getpid(),
        'started': 1.0,
        'heartbeat': time.time(),
    }
    (tmp_path / 'lease.json').write_text(json.dumps(owner))
    with Lease(epath.Path(tmp_path)):
        assert json.loads((tmp_path / 'lease.json').read_text())['started'] != 1.0
