"""One process at a time makes a cache; the next one goes on when it ends, killed or not."""

import signal
import subprocess
import sys

from train.data.storage.locks import locked

HOLD = """
import sys, time
from train.data.storage.locks import locked
with locked(sys.argv[1]):
    print('held', flush=True)
    time.sleep(60)
"""


def test_lock_is_waited_for_and_ends_with_its_process(tmp_path, caplog):
    target = tmp_path / 'cache'
    holder = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == 'held\n'
    caplog.set_level('INFO')

    def killed(record):
        """The other one dies once this process waits."""
        if 'Waiting' in record.getMessage():
            holder.send_signal(signal.SIGKILL)
        return True

    caplog.handler.addFilter(killed)
    with locked(target):
        assert holder.wait() == -signal.SIGKILL
    caplog.handler.removeFilter(killed)
    assert f'Waiting for another process that prepares {target}' in caplog.text
    holder.stdout.close()
    with locked(target):  # free again
        pass
