"""Small studies for tests of the trainer."""

import pytest
from etils import epath

from tests.helpers import runs
from tests.helpers.runs import TermAfter
from train.errors import StoppedError
from train.step import parallel as on
from train.studies import training


def config(**fields):
    base = {'model': 'flow', 'num_seeds': 3, 'seed': 5, 'seed_data': 0, 'flow.num_couplings': 2}
    return runs.config(**{**base, **fields})


def study(folder, **fields):
    return training.run(config(**fields), epath.Path(folder))


def stop_after_11_steps(folder, monkeypatch, **fields):
    with monkeypatch.context() as patch:
        patch.setattr(on, 'train_call', None)
        call = on.study_call

        def interrupted(step, devices, seed_axis):
            patch.setattr(on, 'train_call', lambda *_: call(step, devices, seed_axis))
            TermAfter(patch, 4)
            return on.train_call(step, devices)

        patch.setattr(on, 'study_call', interrupted)
        with pytest.raises(StoppedError) as stopped:
            study(folder, **{'num_devices': 2, **fields})
    assert stopped.value.step == 11
