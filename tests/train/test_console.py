"""The command `likelihood-zoo`, beside a file of the user's own that is called train.py, and from a wheel."""

import os
import pathlib
import subprocess
import sys
import venv

import numpy as np
import pytest

from train import console

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = 'from train.console import main\nmain()\n'
FIT = """
import numpy as np, sys
from train import fit, load
run = fit(np.random.default_rng(0).normal(size=(100, 2)), model='gaussian', epochs=1, mute=True)
run.save('kept')
assert (load('kept').sample(3) == run.sample(3)).all()
assert 'tensorflow' not in sys.modules or sys.modules['tensorflow'] is None
"""


@pytest.fixture
def folder(tmp_path):
    """A folder of a user who has a train.py and a model of their own."""
    (tmp_path / 'train.py').write_text("raise SystemExit('the wrong train')\n")
    (tmp_path / 'mine.py').write_text(
        'def build(config, description):\n    from flows import GaussianFlow\n    return GaussianFlow()\n'
    )
    return tmp_path


def run(*command, cwd, **environment):
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, 'XLA_FLAGS': '', **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_training_beside_a_train_py_takes_a_config_by_name_and_a_model_of_the_folder(folder):
    (folder / 'bin').mkdir()
    (folder / 'bin' / 'likelihood-zoo').write_text(SCRIPT)
    start = (sys.executable, folder / 'bin' / 'likelihood-zoo')
    fields = ('--config.alpha=0.01', '--config.mlp_flow.start=orthogonal', '--config.epochs=1')
    done = run(
        *(*start, 'train', '--config=digits:smoke', '--config.model=mine:build', *fields),
        *('--config.generation=False', '--mute'),
        cwd=folder,
        PYTHONPATH=str(ROOT),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('Test set evaluation')
    (workdir,) = (folder / 'runs').iterdir()
    assert workdir.name.startswith('digits-')
    done = run(
        *(*start, 'sample', f'--workdir={workdir}', '--number=2'), cwd=folder, PYTHONPATH=str(ROOT)
    )
    assert np.load(workdir / 'samples-0.npy').shape == (2, 8, 8, 1), done.stderr


def test_unknown_command_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['likelihood-zoo', 'fly'])
    with pytest.raises(SystemExit, match='2'):
        console.main()
    assert capsys.readouterr().err.startswith('likelihood-zoo takes one of the commands train, ')


def test_every_command_is_one():
    assert {path.stem for path in (ROOT / 'train').glob('*.py')} >= set(console.COMMANDS) - {
        'train'
    }


@pytest.mark.long
def test_wheel_works_in_an_empty_folder_without_tensorflow(folder):
    built = run(
        *(sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '-w', folder / 'dist', ROOT),
        cwd=folder,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (folder / 'dist').glob('*.whl')
    venv.create(folder / 'venv', with_pip=True)
    python = folder / 'venv' / 'bin' / 'python'
    run(python, '-m', 'pip', 'install', '-q', '--no-deps', wheel, cwd=folder)
    (site,) = (folder / 'venv').glob('lib/python*/site-packages')
    others = [path for path in sys.path if path.endswith('site-packages')]
    (site / 'others.pth').write_text('\n'.join(others) + '\n')  # what it depends on
    blocked = "import sys\nsys.modules['tensorflow'] = sys.modules['tensorflow_datasets'] = None\n"
    (site / 'sitecustomize.py').write_text(blocked)
    start = folder / 'venv' / 'bin' / 'likelihood-zoo'
    train = ('train', '--config=digits:smoke', '--config.generation=False', '--mute')
    for arguments in (train, ('train', '--list'), ('prepare', '--list')):
        done = run(start, *arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
    (workdir,) = (folder / 'runs').iterdir()
    for command in ('evaluate', 'sample', 'verify'):
        done = run(start, command, f'--workdir={workdir}', cwd=folder)
        assert done.returncode == 0, done.stderr
    done = run(start, 'report', workdir, cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / 'train.py').unlink()
    done = run(python, '-c', FIT, cwd=folder)
    assert done.returncode == 0, done.stderr
