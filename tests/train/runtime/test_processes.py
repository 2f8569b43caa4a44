"""Processes of two devices each equal one process of all devices, and end when one of them dies."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from tests.helpers import runs

ROOT = pathlib.Path(__file__).resolve().parents[3]
# 500 rows do not divide among the processes, nor into batches of 128.
FIELDS = (
    '--config=configs/toy.py:smoke',
    '--config.toy_size=500',
    '--config.batch_size=64',
    '--config.eval_batch_size=128',
    '--config.generation=False',
    '--config.num_layers=2',
    '--config.look_ahead=1000000',
    '--config.schedule_steps=64',  # all eight epochs of the tests learn
)


def environment(devices):
    return {
        **os.environ,
        'PYTHONPATH': str(ROOT),
        'JAX_PLATFORMS': 'cpu',
        'NPROC': '8',
        'XLA_FLAGS': f'--xla_force_host_platform_device_count={devices}',
    }


def start(workdir, *arguments, devices=2, program=('-m', 'train.main')):
    return subprocess.Popen(
        [sys.executable, *program, *FIELDS, *arguments, f'--workdir={workdir}'],
        cwd=ROOT,
        env=environment(devices),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_all(workdir, *arguments, processes=2, **how):
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        port = listener.getsockname()[1]
    together = (f'--coordinator_address=127.0.0.1:{port}', f'--num_processes={processes}')
    ids = (f'--process_id={i}' for i in range(processes))
    return [start(workdir, *arguments, *together, identity, **how) for identity in ids]


def finish(process, timeout=600):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def wait_for_checkpoint(workdir, processes, timeout=400):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if any(path.name.isdigit() for path in (workdir / 'checkpoints').glob('*')):
            return
        assert all(process.poll() is None for process in processes)
        time.sleep(0.1)
    raise AssertionError('no checkpoint in time')


@pytest.mark.parametrize('processes', [2, pytest.param(4, marks=pytest.mark.long)])
def test_processes_equal_one_also_after_a_kill(tmp_path, processes):
    epochs = '--config.epochs=8'
    many = [
        finish(process) for process in start_all(tmp_path / 'many', epochs, processes=processes)
    ]
    assert [code for code, _, _ in many] == [0] * processes, many
    code, _, err = finish(start(tmp_path / 'one', epochs, devices=2 * processes))
    assert code == 0, err
    for left, right in zip(
        runs.metrics(tmp_path / 'many'), runs.metrics(tmp_path / 'one'), strict=True
    ):
        assert left.keys() == right.keys()
        # Not to the bit: sums go over the devices of a process first, then over processes.
        np.testing.assert_allclose(list(left.values()), list(right.values()), rtol=1e-5)
    results = [
        json.loads((tmp_path / name / 'result.json').read_text()) for name in ('many', 'one')
    ]
    assert [result['N'] for result in results] == [500, 500]
    assert [result['process_count'] for result in results] == [processes, 1]
    assert results[0]['nats'] == pytest.approx(results[1]['nats'], rel=1e-5)
    # All processes print the same number.
    assert len({out.splitlines()[-1] for _, out, _ in many}) == 1
    # The other mapping, with a process that is killed on the way, ends at the same bits.
    killed, mapped = tmp_path / 'killed', '--config.parallel=shard_map'
    run = start_all(killed, mapped, '--config.epochs=100000', processes=processes)
    wait_for_checkpoint(killed, run)
    run[-1].kill()
    assert all(finish(process)[0] != 0 for process in run)
    again = [finish(process) for process in start_all(killed, mapped, epochs, processes=processes)]
    assert [code for code, _, _ in again] == [0] * processes, again
    assert 'Going on from step' in again[0][2]
    assert runs.metrics(killed) == runs.metrics(tmp_path / 'many')
    runs.assert_same_bits(runs.latest(killed)[0], runs.latest(tmp_path / 'many')[0])


@pytest.mark.long
def test_processes_with_a_part_of_the_optimizer_on_each_device_equal_those_with_all(tmp_path):
    mapped = '--config.parallel=shard_map'
    for name, *arguments in (('whole', mapped), ('parts', mapped, '--config.shard_optimizer=True')):
        both = [finish(process) for process in start_all(tmp_path / name, *arguments)]
        assert [code for code, _, _ in both] == [0, 0], both
    states = [runs.latest(tmp_path / name)[0] for name in ('parts', 'whole')]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *states)


@pytest.mark.parametrize('victim', [0, 1])
def test_survivor_ends_soon_and_the_checkpoint_is_intact(tmp_path, victim):
    run = start_all(tmp_path, '--config.epochs=100000')
    wait_for_checkpoint(tmp_path, run)
    run[victim].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    code, _, err = finish(run[1 - victim], timeout=90)
    finish(run[victim])
    assert time.monotonic() - killed < 60
    assert code != 0
    # Either the process itself or its sentinel says it, where the runtime was quicker.
    said = rf'Process {1 - victim} of 2 (lost another one|was ended) .*checkpoint is of step \d+'
    assert re.search(said, err, re.DOTALL), err
    step = max(int(p.name) for p in (tmp_path / 'checkpoints').glob('*') if p.name.isdigit())
    code, _, err = finish(start(tmp_path, f'--config.epochs={step // 7 + 1}', devices=4))
    assert code == 0, err
    assert f'Going on from step {step}.' in err


def test_signal_to_one_process_stops_both_at_the_same_saved_step(tmp_path):
    run = start_all(tmp_path, '--config.epochs=100000')
    wait_for_checkpoint(tmp_path, run)
    run[1].send_signal(signal.SIGTERM)
    done = [finish(process) for process in run]
    assert [code for code, _, _ in done] == [128 + signal.SIGTERM] * 2
    steps = {re.search(r'step (\d+) is saved', err).group(1) for _, _, err in done}
    assert len(steps) == 1
    assert (tmp_path / 'checkpoints' / steps.pop()).is_dir()


SLOW_PICTURES = """
import time
from train import cli, main
from train.runtime import processes
from train.training import conclusion
processes.SHUTDOWN_SECONDS = 1
drawn = conclusion._pictures
def slowly(*arguments):
    time.sleep(5)
    drawn(*arguments)
conclusion._pictures = slowly
cli.run(main.main)
"""
ONE_FAILS = """
import sys, time
from train import cli
from train.errors import UserError
from train.runtime import processes
def main(argv):
    processes.join(sys.argv[1], 2, int(sys.argv[2]))
    if sys.argv[2] == sys.argv[3]:
        raise UserError('what this one alone cannot do')
    time.sleep(60)
cli.run(main, takes_arguments=True)
"""


def test_peers_wait_for_the_pictures_of_the_first(tmp_path):
    run = start_all(tmp_path, '--config.epochs=1', program=('-c', SLOW_PICTURES))
    done = [finish(process) for process in run]
    assert [code for code, _, _ in done] == [0, 0], done
    assert (tmp_path / 'learning_curve.png').exists()


@pytest.mark.parametrize('failing', ['0', '1'])
def test_process_that_fails_alone_ends_with_its_own_code(failing):
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{listener.getsockname()[1]}'
    run = [
        subprocess.Popen(
            [sys.executable, '-c', ONE_FAILS, address, number, failing],
            cwd=ROOT,
            env=environment(1),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in '01'
    ]
    code, _, err = finish(run[int(failing)], timeout=60)
    run[1 - int(failing)].kill()
    finish(run[1 - int(failing)])
    assert code == 1, err
    assert 'what this one alone cannot do' in err
