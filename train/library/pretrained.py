"""A trained run's folder as a model to work with, without its dataset."""

import jax
from etils import epath
from ml_collections import ConfigDict

from train.config import completed
from train.errors import UserError
from train.library import described
from train.library.trained import Trained
from train.runtime import buckets
from train.runtime import workdir as workdirs
from train.runtime.checkpoint import reading
from train.step.state import TrainState
from train.training import experiment as experiments


def read_config(workdir: epath.Path) -> ConfigDict:
    """The config of a run's folder, complete; a UserError where there is none."""
    buckets.check_reachable(workdir)
    path = workdir / 'config.json'
    if not path.exists():
        raise UserError(
            f'{workdir} must hold a training run and has no config.json; give the folder that training printed.'
        )
    return completed(workdirs.read_json(path), path)


def load(workdir: epath.PathLike) -> Trained:
    """The best checkpoint in a run's folder.

    The dataset is not needed. `trained.log_prob(x)` and `trained.sample(n)` are in the units of the data. Where more is
    asked, `model, variables, preprocessing = trained`:
    `x, log_det = preprocessing.forward_and_log_det(preprocessing.encode(raw, keys, False))` and
    `model.apply(variables, x, keys, num_samples, method='log_likelihood')`, nats in model space.
    """
    folder = workdirs.resolve(workdir)
    experiment, state, _ = restore(folder)
    return Trained(experiment, state, folder)


def restore(workdir: epath.Path) -> tuple[experiments.Experiment, TrainState, int]:
    """(experiment, state on the default device, step) of the best checkpoint in a run's folder."""
    config = read_config(workdir)
    experiment = experiments.for_use(config, described.read(workdir, config))
    with reading(workdir) as saved:
        state, _, step = saved.restore_best(experiment.template(), experiment.steps_per_epoch)
    return experiment, jax.device_put(state), step
