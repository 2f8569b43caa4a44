"""The fault suite in a short form, and in full behind the marker `long`."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


def faults(kills, stops, studies=0):
    environment = {**os.environ, 'XLA_FLAGS': ''}
    arguments = [f'--kills={kills}', f'--stops={stops}', f'--studies={studies}', '--seed=1']
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'tests.faults', *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_few_kills_and_stops_change_nothing():
    assert faults(2, 1).startswith('2 kills and 1 stops tried')


@pytest.mark.long
def test_thirty_kills_and_ten_stops_change_nothing():
    assert faults(30, 10).startswith('30 kills and 10 stops tried')


@pytest.mark.long
def test_studies_that_are_killed_end_the_same_on_other_devices():
    assert faults(0, 0, studies=10).startswith('10 kills tried in')
