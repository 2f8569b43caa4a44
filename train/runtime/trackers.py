"""Weights & Biases and MLflow beside metrics.jsonl: one run of theirs for a folder, however often training is resumed.

Both are imported where `config.trackers` names them. Projects, servers and modes are set as each of them documents it,
by environment variables such as WANDB_MODE, WANDB_PROJECT, MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME.
"""

import importlib.util
import io
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from absl import logging
from etils import epath

from train.config import flat
from train.errors import UserError
from train.runtime.workdir import read_json, write_json

PROJECT = 'likelihood-zoo'


class Service(Protocol):
    """A run of a tracking service; `run` is the name by which it is found again."""

    run: str

    def scalars(self, step: int, values: Mapping[str, float]) -> None: ...

    def image(self, step: int, tag: str, png: bytes) -> None: ...

    def close(self) -> None: ...


class WandB:
    """A run of Weights & Biases."""

    def __init__(self, workdir: epath.Path, config: Any, run: str | None) -> None:
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            project=os.environ.get('WANDB_PROJECT', PROJECT),
            name=workdir.name,
            id=run,
            resume='allow' if run else None,
            dir=None if '://' in str(workdir) else str(workdir),
            config=json.loads(config.to_json()),
            allow_val_change=True,
        )
        self.run = self._run.id

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def image(self, step: int, tag: str, png: bytes) -> None:
        from PIL import Image

        # A step behind the run's own would be left out: a resumed one counts from the next.
        picture = self._wandb.Image(Image.open(io.BytesIO(png)))
        self._run.log({tag: picture}, step=max(step, self._run.step))

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """A run of MLflow."""

    def __init__(self, workdir: epath.Path, config: Any, run: str | None) -> None:
        import mlflow

        self._entities = mlflow.entities
        self._client = mlflow.MlflowClient()
        if run is None:
            name = os.environ.get('MLFLOW_EXPERIMENT_NAME', PROJECT)
            experiment = mlflow.set_experiment(name).experiment_id
            run = self._client.create_run(experiment, run_name=workdir.name).info.run_id
            params = [
                self._entities.Param(name, str(value)) for name, value in flat(config).items()
            ]
            for start in range(0, len(params), 100):  # as many as one request may hold
                self._client.log_batch(run, params=params[start : start + 100])
        self.run: str = run
        self._client.update_run(run, 'RUNNING')

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [self._entities.Metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self.run, metrics=metrics)

    def image(self, step: int, tag: str, png: bytes) -> None:
        from PIL import Image

        self._client.log_image(self.run, Image.open(io.BytesIO(png)), f'{tag}-{step}.png')

    def close(self) -> None:
        self._client.set_terminated(self.run)


SERVICES: dict[str, Callable[[epath.Path, Any, str | None], Service]] = {
    'wandb': WandB,
    'mlflow': MLflow,
}


class Tracker:
    """A sink of `train.runtime.writers.Writer` that is given each step once, also by a run that goes back and resumes.

    `<name>.json` in the workdir keeps the service's run and the last step it was given. A service that fails while
    training goes on is warned about: all that it is told stands in metrics.jsonl.
    """

    def __init__(self, name: str, workdir: epath.Path, config: Any) -> None:
        self._name, self._path = name, workdir / f'{name}.json'
        kept = read_json(self._path, {'run': str, 'step': int}) if self._path.exists() else {}
        self._given: int = kept.get('step', -1)
        try:
            self._service = SERVICES[name](workdir, config, kept.get('run'))
        except Exception as error:  # whatever the service raises where it is not reached
            raise UserError(
                f'config.trackers={name} must be in reach ({_first_line(error)}); see to its settings, or leave it out.'
            ) from error
        self._keep(self._given)

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Every number of a dict."""
        if step <= self._given:
            return
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        self._keep(step)
        self._try(self._service.scalars, step, numbers)

    def image(self, step: int, tag: str, png: bytes) -> None:
        """PNG bytes; a step that is given anew by a resumed run has its pictures there."""
        if step >= self._given:
            self._try(self._service.image, step, tag, png)

    def close(self) -> None:
        """The service's run is finished, until the folder's goes on."""
        self._try(self._service.close)

    def _keep(self, step: int) -> None:
        # Before it is sent: rather a point too few, should this process end here, than one twice.
        write_json(self._path, {'run': self._service.run, 'step': step})

    def _try(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception as error:  # whatever the service raises
            logging.warning('%s was not told (%s).', self._name, _first_line(error))


def named(trackers: str) -> list[str]:
    """The names in `config.trackers`; UserError where the package of one is missing."""
    names = [name for name in trackers.split(',') if name]
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f'config.trackers={name} needs the package {name}, which is not installed: pip install '
                f"'likelihood-zoo[{name}]', or leave it out."
            )
    return names


def _first_line(error: Exception) -> str:
    return f'{type(error).__name__}: {error}'.splitlines()[0]
