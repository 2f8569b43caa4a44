"""`python -m train.prepare`: one line of help where something is wrong."""

import os
import pathlib
import subprocess
import sys

import train


def prepare(*arguments):
    return subprocess.run(
        [sys.executable, '-m', 'train.prepare', *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(pathlib.Path(train.__file__).parents[1])},
        check=False,
    )


def test_bundled_dataset_is_ready():
    done = prepare('--dataset=digits')
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        'digits: train 1,437, validation 180, test 180 examples of 64 numbers',
        'digits: needs no file',
    ]


def test_unknown_dataset_is_one_line_and_exit_code_one():
    done = prepare('--dataset=imagenet')
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "unknown dataset 'imagenet'; config.dataset is one of: digits, mnist, toy."
    ]
