"""Kills of runs in a bucket: `python -m tests.bucket_faults --kills=10 --seed=0`, see `tests.faults`.

The bucket is on a server on this machine (`tests/helpers/bucket_server.py`), which outlives the runs. What is expected
comes from a run on the disk.
"""

import argparse
import os
import pathlib
import random
import re
import signal
import sys
import tempfile
import time

from etils import epath

from tests import faults
from tests.helpers import bucket_server

BUCKET, EPOCHS = 'zoo', 6
FOUND = 'found steps '


def on_disk(folder):
    """The run that nothing disturbs, in a local folder."""
    return faults.short_run(folder, EPOCHS)


def place(folder):
    """Where in the bucket the run is whose log lies beside a local folder."""
    return f'gs://{BUCKET}/{pathlib.Path(folder).name}'


def in_bucket(folder):
    """The same run in the bucket; the log says which steps it finds there."""
    from train.runtime import workdir

    print(f'{FOUND}{workdir.steps(epath.Path(place(folder)))}', flush=True)
    return faults.short_run(place(folder), EPOCHS)


def suite(folder, kills, seed):
    """Kill runs until that many are spent; returns (runs, starts that went on from a checkpoint).

    All runs ended as the one on the disk.
    """
    generator = random.Random(seed)
    if faults.wait(faults.start(f'{folder}/disk', on_disk)) != 0:
        raise AssertionError(f'the run on the disk failed; see {folder}/disk.log')
    begin = time.monotonic()
    if faults.wait(faults.start(f'{folder}/whole', in_bucket)) != 0:
        raise AssertionError(f'the undisturbed run failed; see {folder}/whole.log')
    duration = time.monotonic() - begin
    expected = faults.in_child(faults.outcome, f'{folder}/disk')
    check(f'{folder}/whole', expected)
    sent = trials = resumed = 0
    while sent < kills:
        trial = f'{folder}/trial-{trials}'
        most = min(4, kills - sent)
        sent += faults.disturb(trial, signal.SIGKILL, generator, duration, most, in_bucket)
        check(trial, expected)
        found = re.findall(f'^{FOUND}(.*)', pathlib.Path(f'{trial}.log').read_text(), re.M)
        resumed += sum(steps != '[]' for steps in found)
        trials += 1
    return trials, resumed


def check(folder, expected):
    """The run in the bucket ended as expected, to the bit."""
    found = faults.in_child(faults.outcome, place(folder))
    if found != expected:
        raise AssertionError(f'{folder} differs from the run on the disk: {found}, {expected}')


def main():
    """Run the suite and print what was tried."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    if missing := bucket_server.missing():
        parser.error(f'the packages {missing} must be installed')
    import train.training.loop  # noqa: F401  (before the forks)

    with tempfile.TemporaryDirectory() as folder, bucket_server.serving(BUCKET) as url:
        os.environ.update(bucket_server.environment(url))
        runs, resumed = suite(folder, options.kills, options.seed)
    print(
        f'{options.kills} kills tried in {runs} runs in a bucket, {resumed} starts went on from a checkpoint; every '
        'run ended equal to the bit to one on a disk.'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
