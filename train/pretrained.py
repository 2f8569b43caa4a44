"""A trained model for a notebook, without its dataset."""

import jax

from train import experiment as experiments
from train.config import completed
from train.errors import UserError
from train.runtime import workdir as workdirs
from train.runtime.checkpoint import reading


def read_config(workdir):
    """The config of a run's folder, complete; a UserError where there is none."""
    workdirs.check_reachable(workdir)
    path = workdir / 'config.json'
    if not path.exists():
        raise UserError(
            f'{workdir} must hold a training run and has no config.json; give the folder that training printed.'
        )
    return completed(workdirs.read_json(path), path)


def load(workdir):
    """`model, variables, preprocessing` of the best checkpoint in a run's folder.

    The dataset is not needed. Use as
    `x, log_det = preprocessing.forward_and_log_det(preprocessing.encode(raw, keys, False))` and
    `model.apply(variables, x, keys, num_samples, method='log_likelihood')`, nats in model space.
    """
    experiment, state, _ = restore(workdirs.resolve(workdir))
    return experiment.model, state.variables, state.preprocessing


def restore(workdir):
    """(experiment, state on the default device, step) of the best checkpoint in a run's folder."""
    experiment = experiments.for_use(read_config(workdir))
    with reading(workdir) as saved:
        state, _, step = saved.restore_best(experiment.template(), experiment.steps_per_epoch)
    return experiment, jax.device_put(state), step
