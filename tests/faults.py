"""Kills and stops at random moments: `python -m tests.faults --kills=30 --stops=10 --studies=10 --seed=0`.

Each trial starts the same short run, ends it by a signal at a random moment (in training, in a save, in start-up), and
starts it again until it finishes; the end has to equal an uninterrupted run to the bit. Runs are forked from one
process that has its imports behind it. Studies are killed and go on with another number of devices each time, and end
as an undisturbed one to rounding. With `--preparations=3 --manual_dir=FOLDER` of MNIST's four original files, TFDS is
killed while it prepares them, and the next command has to end with the same rows.
"""

import argparse
import functools
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import numpy as np
from etils import epath

from tests.helpers import runs
from train.errors import StoppedError

EPOCHS, STEPS_PER_EPOCH = 25, 32


def short_run(folder, epochs=EPOCHS):
    """The run that is disturbed; a few seconds."""
    from train.training import loop

    config = runs.config(
        toy_size=2048, batch_size=64, epochs=epochs, lr=1e-3, steps_per_call=4, ema=0.99
    )
    return loop.run(config, epath.Path(folder))


def short_study(folder, devices):
    """The study that is disturbed, on so many devices of a process that has not started JAX."""
    forced = f'--xla_force_host_platform_device_count={devices}'
    os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {forced}'
    from train.studies import training

    config = runs.config(
        **{
            'model': 'flow',
            'flow.num_couplings': 2,
            'num_seeds': 3,
            'seed_data': 0,
            'toy_size': 2048,
        },
        **{'epochs': 15, 'lr': 1e-3, 'steps_per_call': 4, 'num_devices': devices},
    )
    return training.run(config, epath.Path(folder))


def child(folder, run):
    """Run in a forked process, its messages in `folder.log`; exits with the run's code."""
    log = os.open(f'{folder}.log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        run(folder)
    except StoppedError as stopped:
        pathlib.Path(f'{folder}.stopped').write_text(str(stopped.step))
        os._exit(stopped.exit_code)
    except BaseException:  # a child reports and never runs its parent's code
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def start(folder, run=short_run):
    """The process id of a new run in a folder."""
    pid = os.fork()
    if pid == 0:
        child(folder, run)
    return pid


def wait(pid):
    """The exit code of a run, negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def outcome(folder):
    """What a finished run leaves: the bytes of its last checkpoint, its step, likelihood and validation losses."""
    from train.library import pretrained
    from train.runtime.checkpoint import Checkpoints, checksum
    from train.training import experiment as experiments

    config = pretrained.read_config(epath.Path(folder))
    with Checkpoints(folder) as saved:
        state, record = saved.restore_latest(experiments.create(config).template())
    lines = (epath.Path(folder) / 'metrics.jsonl').read_text().splitlines()
    losses = [json.loads(line)['validation_nll'] for line in lines]
    nats = json.loads((epath.Path(folder) / 'result.json').read_text())['nats']
    return checksum(state, record), record['step'], nats, losses


def in_child(function, *arguments):
    """`function(*arguments)` in a forked process, so that this one never starts JAX; the value comes back as JSON."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, json.dumps(function(*arguments)).encode())
        except BaseException:  # see `child`
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        value = pipe.read()
    if wait(pid) != 0:
        raise AssertionError(f'{function.__name__} failed')
    return json.loads(value)


def disturb(folder, number, generator, duration, most, run=short_run):
    """Send a signal at random moments until the run finishes by itself or `most` were sent; then let it finish.

    Returns how many were sent.
    """
    for sent in range(most):
        pid = start(folder, run)
        time.sleep(generator.uniform(0.3, duration))
        done = pathlib.Path(folder, 'metrics.jsonl')
        epochs = len(done.read_text().splitlines()) if done.exists() else 0
        os.kill(pid, number)
        code = wait(pid)
        if code == 0:
            return sent
        if number == signal.SIGTERM and code == 128 + number:
            check_saved(folder, epochs)
        elif code != -number:
            raise AssertionError(f'exit code {code}; see {folder}.log')
    code = wait(start(folder, run))
    if code != 0:
        raise AssertionError(f'the resumed run ended with {code}; see {folder}.log')
    return most


def check_saved(folder, epochs):
    """The step that a stopped run names is on disk and no older than what it had reported."""
    step = int(pathlib.Path(f'{folder}.stopped').read_text())
    on_disk = [
        int(p.name) for p in pathlib.Path(folder, 'checkpoints').iterdir() if p.name.isdigit()
    ]
    if max(on_disk) != step or step < epochs * STEPS_PER_EPOCH:
        raise AssertionError(f'stopped at {step}, on disk {on_disk}, {epochs} epochs were reported')


def suite(folder, kills, stops, seed):
    """Run trials until the signals are spent; returns {'kills', 'stops', 'runs'} that were tried and passed."""
    generator = random.Random(seed)
    begin = time.monotonic()
    if wait(start(f'{folder}/whole')) != 0:
        raise AssertionError(f'the undisturbed run failed; see {folder}/whole.log')
    duration = time.monotonic() - begin
    expected = in_child(outcome, f'{folder}/whole')
    counts = {'kills': 0, 'stops': 0, 'runs': 0}
    for name, number, total in (('kills', signal.SIGKILL, kills), ('stops', signal.SIGTERM, stops)):
        while counts[name] < total:
            trial = f'{folder}/{name}-{counts["runs"]}'
            most = min(6, total - counts[name])
            counts[name] += disturb(trial, number, generator, duration, most)
            found = in_child(outcome, trial)
            if found != expected:
                raise AssertionError(
                    f'{trial} differs from an undisturbed run: {found}, {expected}'
                )
            counts['runs'] += 1
    return counts


def study_outcome(folder):
    """The numbers of a finished study: losses of each seed and epoch, and its likelihoods."""
    found = json.loads(pathlib.Path(folder, 'study.json').read_text())
    return {name: np.array(found[name]) for name in ('train', 'val', 'test_nats', 'best_epochs')}


def studies(folder, kills, seed):
    """Kill studies and go on with 1, 2 or 4 devices; returns (kills, studies, how many ended equal to the bit)."""
    generator = random.Random(seed)
    begin = time.monotonic()
    if wait(start(f'{folder}/study', functools.partial(short_study, devices=2))) != 0:
        raise AssertionError(f'the undisturbed study failed; see {folder}/study.log')
    duration = time.monotonic() - begin
    expected = study_outcome(f'{folder}/study')
    sent = trials = equal = 0
    while sent < kills:
        trial, killed = f'{folder}/study-{trials}', 0
        while killed < min(3, kills - sent):
            run = functools.partial(short_study, devices=(4, 1, 2)[killed])
            pid = start(trial, run)
            time.sleep(generator.uniform(0.3, duration))
            os.kill(pid, signal.SIGKILL)
            code = wait(pid)
            if code == 0:
                break
            if code != -signal.SIGKILL:
                raise AssertionError(f'exit code {code}; see {trial}.log')
            killed += 1
        if wait(start(trial, functools.partial(short_study, devices=1))) != 0:
            raise AssertionError(f'the resumed study failed; see {trial}.log')
        found = study_outcome(trial)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=f'{name} of {trial}')
        equal += all(np.array_equal(found[name], value) for name, value in expected.items())
        sent, trials = sent + killed, trials + 1
    return sent, trials, equal


def prepare(folder, manual_dir):
    """A process that makes MNIST ready in a folder."""
    arguments = [f'--data_dir={folder}/tfds', f'--cache_dir={folder}/cache', '--dataset=mnist']
    command = [sys.executable, '-m', 'train.prepare', *arguments, f'--manual_dir={manual_dir}']
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def prepared(folder):
    """Path -> sha256 of the rows that runs read."""
    cache = pathlib.Path(folder, 'cache')
    files = sorted(cache.rglob('*.npy'))
    return {str(f.relative_to(cache)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def preparations(folder, kills, manual_dir, seed):
    """Kill so many preparations, each in a folder of its own, and check what the next command makes; the moments."""
    generator = random.Random(seed)
    begin = time.monotonic()
    if prepare(f'{folder}/whole-data', manual_dir).wait() != 0:
        raise AssertionError('the undisturbed preparation failed')
    duration = time.monotonic() - begin
    expected, moments = prepared(f'{folder}/whole-data'), []
    for trial in range(kills):
        place = f'{folder}/data-{trial}'
        process = prepare(place, manual_dir)
        moments.append(generator.uniform(0, duration))
        time.sleep(moments[-1])
        process.kill()
        process.wait()
        if prepare(place, manual_dir).wait() != 0 or prepared(place) != expected:
            raise AssertionError(f'killed after {moments[-1]:.1f} s, the next preparation differs')
    return [round(moment / duration, 2) for moment in moments]


def main():
    """Run the suite and print what was tried."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=30)
    parser.add_argument('--stops', type=int, default=10)
    parser.add_argument('--studies', type=int, default=0, help='kills of studies')
    parser.add_argument('--preparations', type=int, default=0, help='kills of preparations')
    parser.add_argument('--manual_dir', help="folder of MNIST's original files")
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    import train.training.loop  # noqa: F401  (before the forks)

    with tempfile.TemporaryDirectory() as folder:
        if options.kills or options.stops:
            counts = suite(folder, options.kills, options.stops, options.seed)
            print(
                f'{counts["kills"]} kills and {counts["stops"]} stops tried in {counts["runs"]} runs; '
                'every run ended equal to the bit to an undisturbed one.'
            )
        if options.studies:
            sent, trials, equal = studies(folder, options.studies, options.seed)
            print(
                f'{sent} kills tried in {trials} studies that went on with other numbers of devices; '
                f'every one ended as an undisturbed one to rounding, {equal} to the bit.'
            )
        if options.preparations:
            moments = preparations(folder, options.preparations, options.manual_dir, options.seed)
            print(
                f'{len(moments)} preparations killed, after these parts of their time: {moments}; '
                'the next command made the same rows.'
            )
    return 0


if __name__ == '__main__':
    sys.exit(main())
