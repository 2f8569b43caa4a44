"""`train.fit`: an array in, a trained density out, by the trainer of the commands."""

import shutil
import tempfile
import weakref
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict, FrozenConfigDict
from numpy.typing import ArrayLike

from train import config as defaults
from train import models
from train.data.datasets import array
from train.data.splitting import split_sizes
from train.errors import NonFiniteError, StoppedError, UserError
from train.library import pretrained
from train.library.columns import names_of
from train.library.trained import Trained, numbers
from train.runtime import compilation
from train.runtime import workdir as workdirs
from train.training import loop

LARGEST_BATCH = 256
CLASSES = 1000  # more whole numbers than these are no classes
# Fields that say which data are trained on, and how these are read or split: an array is taken as it is.
OF_OTHER_DATA = frozenset(
    (
        *('dataset', 'array', 'toy_name', 'toy_size', 'path', 'validation_path', 'test_path'),
        *('split_seed', 'columns', 'categorical', 'bounds'),
    )
)


def fit(
    x: ArrayLike,
    *,
    context: ArrayLike | None = None,
    model: str = 'rq_nsf',
    epochs: int = 50,
    folder: Any = None,
    mute: bool = False,
    **fields: Any,
) -> Trained:
    """Train a density of rows x (N, D), or of x given a context; which gives a `train.library.trained.Trained`.

    context: (N, C) numbers, or (N,) whole numbers from zero, which are classes. Any array that numpy takes will do, and
    tables of pandas, whose columns later calls find by name. A tenth of the rows, drawn from `seed`, chooses the
    checkpoint, another tenth gives the figure in `.result`. folder: keeps the run, and another call goes on with it;
    without it the run lives as long as what is returned, see `.save`.
    fields: of a config, `lr=1e-4`, `rq_nsf={'width': 64}`, in place of what is chosen here: standardised columns,
    batches of at most 256 rows, Adam, a cosine over the epochs, early stopping. Compiled programs are kept as by the
    commands, see `config.compilation_cache`. UserError for what the caller can mend.
    """
    rows = numbers('x', x)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or not rows.shape[1]:
        raise UserError(f'x must hold rows, (N, D); found shape {rows.shape}: reshape it.')
    split_sizes(len(rows))
    names = names_of(x) and names_of(x) + names_of(context)
    with array.held(rows, _context(context, len(rows)), names) as own:
        config = _config(own, {**fields, 'model': model, 'epochs': epochs})
        compilation.use_cache(config.compilation_cache)
        if folder is not None:
            loop.run(config, workdirs.resolve(folder), mute=mute)
            return pretrained.load(folder)
        return _without_a_folder(config, mute)


def _without_a_folder(config: FrozenConfigDict, mute: bool) -> Trained:
    """Train in a temporary folder, removed with what is returned; one that was stopped or broke stays, and is named."""
    folder = tempfile.mkdtemp(prefix='likelihood_zoo-')
    try:
        loop.run(config, workdirs.resolve(folder), mute=mute)
        trained = pretrained.load(folder)
    except (StoppedError, NonFiniteError) as error:
        error.args = (f'{error} The run is in {folder}: fit with folder={folder!r} goes on there.',)
        raise
    except BaseException:
        shutil.rmtree(folder)
        raise
    weakref.finalize(trained, shutil.rmtree, folder)
    return trained


def _config(own: dict[str, Any], fields: dict[str, Any]) -> FrozenConfigDict:
    """The defaults, what is chosen for arrays, and the caller's fields over both."""
    if others := sorted(OF_OTHER_DATA.intersection(fields)):
        raise UserError(
            f'fit takes x as it is, without the fields of other datasets; found {", ".join(others)}: leave it out and '
            'transform x before, or save x and train with config.dataset=file.'
        )
    config = defaults.get_config()
    config.update({'dataset': 'array', 'array': own, **_chosen(own['rows'], fields)})
    _update(config, fields)
    frozen = FrozenConfigDict(config)
    defaults.check_fields(frozen, given=defaults.flat(fields))
    return frozen


def _chosen(rows: int, fields: dict[str, Any]) -> dict[str, Any]:
    """What suits an array of so many rows and the caller's fields."""
    devices = fields.get('num_devices') or jax.local_device_count()
    train, epochs = split_sizes(rows)[0], fields['epochs']
    batch = fields.get('batch_size') or max(min(LARGEST_BATCH, train) // devices, 1) * devices
    chosen = {
        'preprocessing': 'standardise',
        'batch_size': batch,
        'grad_clip': 5.0,
        'schedule': 'cosine',
        'warmup': epochs * (train // batch) // 20,
        'look_ahead': max(10, epochs // 5),
        'log_every': max(1, epochs // 10),
        'generation': False,
        'tensorboard': False,
    }
    return chosen | ({'num_layers': 5} if models.has(fields['model'], 'num_layers') else {})


def _update(config: ConfigDict, fields: dict[str, Any]) -> None:
    try:
        config.update(defaults.nested(defaults.flat(fields)))
    except (AttributeError, KeyError) as error:
        known = defaults.flat(config)
        unknown = sorted(defaults.flat(fields).keys() - known.keys())
        raise UserError(
            f'fit takes the fields of a config, see `python -m train.main --help`; found {", ".join(unknown)}.'
        ) from error
    except (TypeError, ValueError) as error:
        raise UserError(
            f'a field of a config must have the type of its default ({error}).'
        ) from error


def _context(context: ArrayLike | None, rows: int) -> np.ndarray | None:
    """(N,) classes or (N, C) numbers; UserError for others."""
    if context is None:
        return None
    values = numbers('context', context)
    if values.shape[:1] != (rows,) or values.ndim > 2:
        raise UserError(
            f'the context must have a row for each of the {rows} rows of x; found shape {values.shape}.'
        )
    if values.ndim == 2:
        return values
    if np.asarray(context).dtype.kind not in 'iub':
        return values[:, None]
    if values.min() < 0 or values.max() >= CLASSES:
        raise UserError(
            f'a context of whole numbers (N,) holds classes, 0 to {CLASSES - 1} at most; found {values.min():g} to '
            f'{values.max():g}: give numbers as (N, 1).'
        )
    return values
