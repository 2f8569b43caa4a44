"""Small studies for tests of the trainer."""

import pytest
from etils import epath

from tests.helpers import runs
from train.errors import StoppedError
from train.studies import training


def config(**fields):
    base = {'model': 'flow', 'num_seeds': 3, 'seed': 5, 'seed_data': 0, 'flow.num_couplings': 2}
    return runs.config(**{**base, **fields})


def study(folder, **fields):
    return training.run(config(**fields), epath.Path(folder))


def stop_after_11_steps(folder, monkeypatch, **fields):
    with monkeypatch.context() as patch:
        runs.term_after(patch, 4)
        with pytest.raises(StoppedError) as stopped:
            study(folder, **{'num_devices': 2, **fields})
    assert stopped.value.step == 11
