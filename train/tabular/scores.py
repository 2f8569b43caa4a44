"""The log-density of rows, and where it lies among those of training rows."""

import io
import zipfile

import numpy as np
from etils import epath

from train import data as datasets
from train.data.base import Data
from train.data.storage.sources import Source, Subset
from train.errors import UserError
from train.library import described
from train.runtime import processes
from train.runtime import workdir as workdirs
from train.step.state import TrainState
from train.training.experiment import Experiment, init_rows

NAME = 'training_scores.npz'
KEPT = 10_000  # training rows whose scores stand for all


def log_density(
    experiment: Experiment, state: TrainState, source: Source, split: str = 'test'
) -> np.ndarray:
    """log p(x), or log p(x | c), of each row of a source in data space, (n,) float64, nats.

    state: laid out on the devices. split: whose noise is drawn, where rows have noise. Of a model that is not exact the
    bound of `config.num_samples` importance samples.
    """
    config, exact = experiment.config, experiment.model.exact
    samples = 1 if exact else config.num_samples
    values = experiment.evaluator.log_likelihood(state, source, split, samples, config.importance)
    return values['log_likelihood'].astype(np.float64) + values['log_det']


def keep(
    experiment: Experiment, state: TrainState, data: Data, workdir: epath.Path, step: int
) -> np.ndarray:
    """Write the scores of training rows under the state of a step, which `quantiles` needs; returns them, sorted."""
    train = data.source('train')
    rows = init_rows(0, len(train), KEPT)
    scores = np.sort(log_density(experiment, state, Subset(train, rows), 'train'))
    if processes.is_first():
        file = io.BytesIO()
        np.savez(file, step=step, scores=scores)
        workdirs.write_bytes(workdir / NAME, file.getvalue())
    return scores


def of_training(
    experiment: Experiment, state: TrainState, workdir: epath.Path, step: int
) -> np.ndarray:
    """The scores of training rows under the state of a step, sorted: as kept, else by the dataset, and then kept."""
    path = workdir / NAME
    if path.exists():
        kept = _read(path)
        if kept['step'] == step:
            return kept['scores']
    described.check(workdir, experiment.config)
    return keep(experiment, state, datasets.load(experiment.config), workdir, step)


def _read(path: epath.Path) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            return {name: kept[name] for name in ('step', 'scores')}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f'{path} must hold the scores of training rows and cannot be read ({error}); delete it, and they are '
            'computed anew.'
        ) from error


def quantiles(scores: np.ndarray, of_training: np.ndarray) -> np.ndarray:
    """The part of the training rows that score no higher, (n,), for scores (n,)."""
    return np.searchsorted(of_training, scores, side='right') / len(of_training)
