"""A trained model to work with: log-densities and samples in the units of the data."""

import dataclasses
import functools
import json
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from etils import epath
from numpy.typing import ArrayLike

from train.contract import Model, Variables
from train.data.preprocessing import Preprocessing
from train.data.storage.sources import ArraySource
from train.errors import UserError
from train.figures import showing
from train.library.columns import in_order
from train.runtime import workdir as workdirs
from train.step.randomness import purpose_key
from train.step.state import TrainState
from train.training.experiment import Experiment
from train.training.result import Result

PARTS = (
    *('config.json', 'dataset.json', 'result.json', 'metrics.jsonl', 'test_evaluations.jsonl'),
    *('training_scores.npz', 'checkpoints'),
)


@dataclasses.dataclass(frozen=True, repr=False)
class Trained:
    """The best checkpoint of a run. `model, variables, preprocessing = trained` takes its parts.

    state: on the default device.
    """

    experiment: Experiment
    state: TrainState
    folder: epath.Path

    def __repr__(self) -> str:
        known = self.experiment.description
        return f'<{self.experiment.config.model} of {known.name}, D = {known.num_features}>'

    @property
    def model(self) -> Model:
        return self.experiment.model

    @property
    def variables(self) -> Variables:
        return self.state.variables

    @property
    def preprocessing(self) -> Preprocessing:
        return self.state.preprocessing

    def __iter__(self) -> Iterator[Any]:
        return iter((self.model, self.variables, self.preprocessing))

    def __getitem__(self, index: int) -> Any:
        return tuple(self)[index]

    @property
    def result(self) -> Result:
        """What the run's `result.json` holds; `print(trained.result.line())`. UserError for a run without one."""
        if not (self.folder / 'result.json').exists():
            raise UserError(
                f'{self.folder} must hold a finished run and has no result.json; finish it by the same command.'
            )
        return Result.from_json(workdirs.read_json(self.folder / 'result.json', Result.required()))

    def log_prob(self, x: ArrayLike, context: ArrayLike | None = None) -> np.ndarray:
        """log p(x), or log p(x | c), of each row in nats of data space, (N,) float64, as evaluation has it.

        x: (N, D), or (N, ...) in the shape of the data; context: (N, C), or (N,) classes; of a run on a table, its
        columns, categories as 0, 1, ... in the order of `experiment.description.table`. A model with a bound takes
        `config.num_samples` importance samples. Pixels are whole grey levels, and their noise goes by the row.
        """
        config = self.experiment.config
        values = self.experiment.evaluator.log_likelihood(
            self._placed,
            ArraySource(self._rows(x, context)),
            'test',
            1 if self.model.exact else config.num_samples,
            config.importance,
        )
        return values['log_likelihood'].astype(np.float64) + values['log_det']

    def sample(self, n: int, *, context: ArrayLike | None = None, seed: int = 0) -> np.ndarray:
        """n samples in data space, (n, ...) float32; images of models with latents are the means of p(x | z).

        context: of all of them, a class or C numbers, or one for each, (n,) or (n, C); without it contexts are drawn
        as in training.
        """
        if n < 1:
            raise UserError(f'n must be at least 1; found {n}.')
        if not self.model.is_onto:
            raise UserError(self.model.warning)
        c = None if context is None else self._contexts(context, {1, n})
        key = purpose_key(seed, 'sample')
        samples = showing.draw_blocks(self.model, self.variables, self.preprocessing, key, n, c)
        return samples.reshape(n, *self.experiment.description.shape)

    def save(self, folder: Any) -> None:
        """Copy the run to a new folder, from which `train.load` and the commands take it."""
        target = workdirs.resolve(folder)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UserError(f'a run is saved in a new folder; found {target}: choose another.')
        workdirs.make(target)
        for name in PARTS:
            if (self.folder / name).exists():
                _copy(self.folder / name, target / name)

    @functools.cached_property
    def _placed(self) -> TrainState:
        return self.experiment.layout.place(self.state)

    def _rows(self, x: ArrayLike, context: ArrayLike | None) -> np.ndarray:
        """Rows as the dataset stores them: x, and the columns of the context behind it."""
        known = self.experiment.description
        columns, of_context = self._names()
        rows = numbers('x', in_order('x', x, columns))
        if rows.ndim == 1 and known.num_features == 1:
            rows = rows[:, None]
        if rows.ndim < 2 or rows[:1].size != known.num_features or not len(rows):
            raise UserError(
                f'x must hold rows of {known.num_features} numbers, (N, D) with N > 0; found shape {rows.shape}.'
            )
        rows = rows.reshape(len(rows), -1)
        if known.levels and ((rows < 0) | (rows >= known.levels) | (rows % 1 != 0)).any():
            raise UserError(
                f'x must hold grey levels, whole numbers from 0 to {known.levels - 1}, as {known.name} does; found '
                f'{rows.min():g} to {rows.max():g}.'
            )
        if (context is None) != (known.context == 0):
            here, there = ('no', 'one') if context is None else ('a', 'none')
            raise UserError(
                f'a context is given where the run was trained with one; found {here} context, needs {there}.'
            )
        if context is None:
            return rows
        context = in_order('the context', context, of_context)
        return np.column_stack([rows, self._columns(context, {len(rows)})])

    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the columns that are modelled and of those of the context, () where they have none."""
        known = self.experiment.description
        if known.table is not None:
            columns, context = known.table.columns, known.table.context
            return tuple(c.name for c in columns), tuple(c.name for c in context)
        config = self.experiment.config
        stored = config.array.names if config.dataset == 'array' else ''
        names = tuple(json.loads(stored)) if stored else ()
        return names[: known.num_features], names[known.num_features :]

    def _contexts(self, context: ArrayLike, lengths: set[int]) -> jax.Array:
        """Contexts as models take them, (1 or n, C)."""
        if self.preprocessing.context is None:
            raise UserError(
                'a context needs a model of p(x | c); this run was trained without: leave it out.'
            )
        return self.preprocessing.context.of(self._columns(context, lengths))

    def _columns(self, context: ArrayLike, lengths: set[int]) -> np.ndarray:
        """Contexts as the dataset stores them, (1 or n, 1 or C)."""
        known = self.experiment.description
        width = 1 if known.labelled else known.context
        if known.table is not None:
            width = len(known.table.context)
        columns = numbers('context', context)
        if columns.size % width or columns.size // width not in lengths:
            wanted = (
                f'one of the classes 0 to {known.context - 1}'
                if known.labelled
                else f'{width} numbers'
            )
            raise UserError(
                f'the context must be {wanted}, for each row; found shape {columns.shape}.'
            )
        columns = columns.reshape(-1, width)
        if (
            known.labelled
            and ((columns < 0) | (columns >= known.context) | (columns % 1 != 0)).any()
        ):
            raise UserError(
                f'the context must hold classes, 0 to {known.context - 1}; found {columns.min():g} to '
                f'{columns.max():g}.'
            )
        return columns


def numbers(name: str, values: ArrayLike) -> np.ndarray:
    """Anything that numpy takes, tables of pandas among them, as finite float32 numbers; UserError where it is not."""
    try:
        array = np.asarray(values).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f'{name} must hold numbers alone ({error}).') from error
    broken = int(array.size - np.isfinite(array).sum())
    if broken:
        raise UserError(
            f'{name} must hold finite numbers, in the range of float32; found {broken} others of {array.size}: leave '
            'these rows out, or repair them.'
        )
    return array


def _copy(source: epath.Path, target: epath.Path) -> None:
    if not source.is_dir():
        source.copy(target)
        return
    target.mkdir()
    for path in source.iterdir():
        _copy(path, target / path.name)
