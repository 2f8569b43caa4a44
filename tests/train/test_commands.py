"""The commands as a user types them: what works, and one sentence with a non-zero exit for what does not."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOY = ('--config=configs/toy.py:smoke', '--config.generation=False')


def command(module, *arguments, cwd=ROOT, env=None):
    """Run `python -m module arguments` on one device; the completed process."""
    environment = {**os.environ, 'XLA_FLAGS': '', **(env or {}), 'PYTHONPATH': str(ROOT)}
    return subprocess.run(
        [sys.executable, '-W', 'error::DeprecationWarning:train', '-m', module, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


# One process that has the imports behind it and forks for each command line it reads.
SERVER = """
import json, os, sys
from train import cli, main
from train.training import loop
for line in sys.stdin:
    arguments = json.loads(line)
    if os.fork() == 0:
        sys.stdin.close()
        sys.stderr = open(arguments.pop(0), 'w')
        os.dup2(sys.stderr.fileno(), 2)
        sys.argv = ['train.main', *arguments]
        cli.run(main.main)
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


@pytest.fixture(scope='module')
def main_forked():
    """`call(folder, *arguments) -> (exit code, stderr)` of `train.main`, without the time of its imports."""
    environment = {**os.environ, 'XLA_FLAGS': ''}
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
    with subprocess.Popen(
        [sys.executable, '-c', SERVER], cwd=ROOT, env=environment, **pipes
    ) as server:

        def call(folder, *arguments):
            path = folder / 'stderr'
            server.stdin.write(json.dumps([str(path), *arguments]) + '\n')
            server.stdin.flush()
            return int(server.stdout.readline()), path.read_text()

        yield call
        server.stdin.close()


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A finished run of the toy config, by the command."""
    folder = tmp_path_factory.mktemp('trained') / 'run'
    done = command('train.main', *TOY, f'--workdir={folder}')
    assert done.returncode == 0, done.stderr
    return folder, done


def test_training_ends_with_the_likelihood_and_its_units(trained):
    folder, done = trained
    result = json.loads((folder / 'result.json').read_text())
    last = done.stdout.strip().splitlines()[-1]
    found = re.match(r'Test set evaluation: (-?[\d.]+) \+- ([\d.]+) nats \(', last)
    assert float(found[1]) == pytest.approx(result['nats'], abs=0.05)
    assert float(found[2]) == pytest.approx(result['nats_2se'], rel=0.1)
    assert 'Traceback' not in done.stderr


def test_same_command_again_says_that_the_run_is_finished(trained):
    folder, done = trained
    again = command('train.main', *TOY, f'--workdir={folder}')
    assert again.returncode == 0
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    assert f'finished; its result is in {folder}/result.json' in again.stderr


def test_evaluate_prints_validation_and_counts_looks_at_the_test_split(trained):
    folder, _ = trained
    looks = folder / 'test_evaluations.jsonl'
    before = len(looks.read_text().splitlines())
    done = command('train.evaluate', f'--workdir={folder}')
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith('Validation set evaluation: ')
    assert len(looks.read_text().splitlines()) == before
    done = command('train.evaluate', f'--workdir={folder}', '--split=test')
    assert json.loads(done.stdout[: done.stdout.rindex('}') + 1])['test_evaluations'] == before + 1
    assert len(looks.read_text().splitlines()) == before + 1


def test_gaps_of_an_exact_likelihood_are_refused(trained):
    done = command('train.evaluate', f'--workdir={trained[0]}', '--gaps')
    assert done.returncode == 1
    assert 'config.model=mlp_flow has the exact likelihood' in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ('of', 'flag', 'sentence'),
    [
        ('evaluate', '--num_samples=5', '--num_samples is of a bound'),
        ('sample', '--temperature=0.5', '--temperature is that of samples; found it beside'),
        ('sample', '--number=5', '--number is that of samples; found it beside'),
    ],
)
def test_flags_without_effect_are_refused(trained, of, flag, sentence):
    beside = ['--spectrum'] if of == 'sample' else []
    done = command(f'train.{of}', f'--workdir={trained[0]}', flag, *beside)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(sentence)


def test_sample_writes_samples_in_data_space(trained):
    folder, _ = trained
    done = command('train.sample', f'--workdir={folder}', '--number=50', '--seed=3')
    assert done.returncode == 0, done.stderr
    samples = np.load(folder / 'samples-3.npy')
    assert samples.shape == (50, 2)
    assert np.isfinite(samples).all()
    assert (folder / 'samples-3.png').exists()


@pytest.mark.parametrize(
    ('arguments', 'code', 'sentence'),
    [
        ((), 1, '--config must name a config file'),
        (('--config=README.md',), 2, '--config must name a Python file; found'),
        (('--config=configs/absent.py',), 1, 'found none at configs/absent.py'),
        (('--config=configs/toy.py:absent',), 2, 'must be one of [smoke]; found absent'),
        ((*TOY, '--config.num_layer=4'), 2, 'Did you mean "num_layers"'),
        (
            (*TOY, '--config.gradient=relative'),
            2,
            'config.gradient is called config.mlp_flow.gradient now',
        ),
        ((*TOY, '--config.num_layers=four'), 2, '--config.num_layers=four'),
        ((*TOY, '--config.bias=maybe'), 2, '--config.bias=maybe'),
        ((*TOY, 'num_layers=4'), 2, "found 'num_layers=4'"),
        ((*TOY, '--config.model=gan'), 1, 'config.model must be one of mlp_flow, nice, flow'),
        ((*TOY, '--config.dataset=imagenet'), 1, 'config.dataset must be one of toy, digits'),
        ((*TOY, '--config.toy_name=square'), 1, "'square'"),
        ((*TOY, '--config.nonlinearity=relu'), 1, "'relu'"),
        ((*TOY, '--config.prior=cauchy'), 1, "'cauchy'"),
        ((*TOY, '--config.mlp_flow.gradient=natural'), 1, 'must be one of relative, equivariant'),
        ((*TOY, '--config.optimizer=lion'), 1, 'config.optimizer must be one of'),
        (
            (*TOY, '--config.schedule=cosine', '--config.warmup=8'),
            1,
            'found 8 steps, warmup=8: set',
        ),
        ((*TOY, '--config.preprocessing=whiten'), 1, "'whiten'"),
        ((*TOY, '--config.batch_size=100000'), 1, 'fewer than one batch of 100000'),
        ((*TOY, '--config.epochs=0'), 1, 'config.epochs must be at least 1'),
        ((*TOY, '--config.log_every=0'), 1, 'config.log_every must be at least 1'),
        ((*TOY, '--config.eval_batch_size=0'), 1, 'config.eval_batch_size must be at least 1'),
        ((*TOY, '--config.seed=-1'), 1, 'config.seed must lie in 0 .. 2**32 - 1'),
        ((*TOY, '--config.seed=4294967296'), 1, 'config.seed must lie in 0 .. 2**32 - 1'),
        ((*TOY, '--config.lr=-1'), 1, 'config.lr must be a number of at least 0; found -1'),
        ((*TOY, '--config.lr=nan'), 1, 'config.lr must be a number of at least 0; found nan'),
        ((*TOY, '--config.grad_clip=-1'), 1, 'config.grad_clip must be a number of at least 0'),
        ((*TOY, '--config.ema=1.5'), 1, 'config.ema must lie in [0, 1); found 1.5'),
        ((*TOY, '--config.eps=0'), 1, 'config.eps must be a number above 0; found 0'),
        (
            (*TOY, '--config.seed_init=-2'),
            1,
            'config.seed_init must lie in 0 .. 2**32 - 1, or be -1',
        ),
        ((*TOY, '--config.b2=0.999999999'), 1, 'config.b2 must lie in [0, 1); found 0.999999999'),
        ((*TOY, '--config.warmup=9223372036854775808'), 1, 'config.warmup must be at least 0'),
        ((*TOY, '--config.toy_size=1000000000000'), 1, 'and at most 100000000'),
        (
            ('--config=configs/nice_mnist.py', '--config.num_layers=8'),
            1,
            'config.model=nice has no field num_layers, which is for mlp_flow, maf, real_nvp, rq_nsf; found',
        ),
        ((*TOY, '--config.matmul_precision=half'), 1, 'config.matmul_precision must be one of'),
        (
            ('--config=configs/vlae_cifar10.py', '--config.vae.output_dist=bernoulli'),
            1,
            'config.vae.output_dist=bernoulli and config.preprocessing=binarise go together; found',
        ),
        ((*TOY, '--config.num_seeds=5'), 1, 'found config.num_seeds=5; use train.study for many'),
        ((*TOY, '--config.num_devices=3'), 1, 'config.num_devices must be between 0 (all) and 1'),
    ],
)
def test_mistakes_end_with_one_sentence(main_forked, tmp_path, arguments, code, sentence):
    found, stderr = main_forked(tmp_path, *arguments, f'--workdir={tmp_path / "run"}')
    assert found == code, stderr
    assert sentence in stderr
    assert 'Traceback' not in stderr
    assert not (tmp_path / 'run').exists()


def test_batch_that_the_devices_do_not_divide_is_refused(tmp_path):
    done = command(
        'train.main',
        *TOY,
        '--config.batch_size=100',
        f'--workdir={tmp_path / "run"}',
        env={'XLA_FLAGS': '--xla_force_host_platform_device_count=8'},
    )
    assert done.returncode == 1
    assert '96 or 104' in done.stderr.splitlines()[-1]


@pytest.mark.parametrize('module', ['train.evaluate', 'train.sample'])
def test_folder_without_a_run_is_refused(tmp_path, module):
    done = command(module, f'--workdir={tmp_path}')
    assert done.returncode == 1
    assert 'has no config.json' in done.stderr.splitlines()[-1]


def test_workdir_of_another_run_is_refused_and_left_as_it_was(trained):
    folder, _ = trained
    before = (folder / 'config.json').read_bytes()
    done = command('train.main', *TOY, '--config.num_layers=5', f'--workdir={folder}')
    assert done.returncode == 1
    assert 'holds another run: num_layers' in done.stderr.splitlines()[-1]
    assert (folder / 'config.json').read_bytes() == before


@pytest.mark.parametrize(
    ('name', 'content', 'sentence'),
    [
        ('config.json', b'{"a": ', 'config.json must hold JSON and is damaged'),
        ('result.json', b'\xff\xfe', 'result.json must hold JSON and is damaged'),
        ('result.json', b'[]', 'result.json must hold a JSON object with the fields versions'),
        ('result.json', {'epochs': None}, 'must hold a value of type int in epochs, found None'),
        ('result.json', {'nats': 'x'}, 'must hold a value of type int | float | None in nats'),
        ('config.json', {'num_layer': 3}, 'must hold fields of a config'),
        (
            'config.json',
            {'num_layers': 'x'},
            'must hold values of the types that the fields of a config have',
        ),
        ('config.json', None, 'holds checkpoints and must hold their config.json, found none'),
    ],
)
def test_damaged_record_is_one_sentence(main_forked, trained, tmp_path, name, content, sentence):
    folder, _ = trained
    shutil.copytree(folder, tmp_path / 'run')
    if content is None:
        (tmp_path / 'run' / name).unlink()
    elif isinstance(content, dict):
        changed = json.loads((folder / name).read_text()) | content
        (tmp_path / 'run' / name).write_text(json.dumps(changed))
    else:
        (tmp_path / 'run' / name).write_bytes(content)
    code, stderr = main_forked(tmp_path, *TOY, f'--workdir={tmp_path / "run"}')
    assert code == 1
    assert sentence in stderr
    assert 'Traceback' not in stderr


def test_result_without_checkpoints_is_not_started_anew(main_forked, trained, tmp_path):
    folder, _ = trained
    shutil.copytree(folder, tmp_path / 'run')
    shutil.rmtree(tmp_path / 'run' / 'checkpoints')
    code, stderr = main_forked(tmp_path, *TOY, '--config.epochs=9', f'--workdir={tmp_path / "run"}')
    assert code == 1
    assert 'has a result but no checkpoints' in stderr
    assert (tmp_path / 'run' / 'result.json').exists()


def test_bucket_out_of_reach_is_one_sentence(main_forked, tmp_path):
    code, stderr = main_forked(tmp_path, *TOY, '--workdir=nowhere://bucket/run')
    assert code == 1
    assert 'must lie on a disk or in a bucket' in stderr
    assert 'Traceback' not in stderr


def test_samples_beyond_the_memory_are_refused(trained):
    done = command('train.sample', f'--workdir={trained[0]}', f'--number={10**15}')
    assert done.returncode == 1
    assert re.search(
        r'--number must be at most \d+ for 8 bytes a sample .* found 10{15}', done.stderr
    )
    assert 'Traceback' not in done.stderr


def test_report_goes_into_a_folder(trained, tmp_path):
    done = command('train.report', str(trained[0]), f'--output={tmp_path}/')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'report.md').exists()
    assert (tmp_path / 'report.html').exists()


def test_signal_before_training_is_one_sentence(tmp_path):
    arguments = ['-m', 'train.main', *TOY, f'--workdir={tmp_path / "run"}']
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert 'Workdir' in process.stderr.readline()
        process.terminate()
        stderr = process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM, stderr
    assert stderr.splitlines()[-1].startswith('Stopped by SIGTERM; what was saved before')
    assert 'Traceback' not in stderr


BLOCKED = """
import runpy, sys
sys.modules['tensorflow'] = None
sys.modules['tensorflow_datasets'] = None
sys.argv[0] = 'train.main'
runpy.run_module('train.main', run_name='__main__')
"""


def test_a_whole_training_runs_without_tensorflow_and_muted_prints_its_end_alone(tmp_path):
    arguments = ['--config=configs/digits.py:smoke', '--mute', f'--workdir={tmp_path}']
    done = subprocess.run(
        [sys.executable, '-c', BLOCKED, *arguments],
        cwd=ROOT,
        env={**os.environ, 'XLA_FLAGS': ''},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'result.json').exists()
    (line,) = done.stdout.splitlines()
    assert line.startswith('Test set evaluation: ')


def test_muted_study_prints_its_table_alone(tmp_path):
    small = ('--config=configs/study_toy.py:smoke', '--config.num_seeds=1', '--config.epochs=1')
    done = command('train.study', *small, '--mute', f'--workdir={tmp_path}')
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (tmp_path / 'study.md').read_text().strip()
