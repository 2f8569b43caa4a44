"""The trainer of a single run and of a study of many seeds: the same epochs, saves and stops.

What differs, how a session starts, what the end of an epoch decides and what is left in the end, is in
`train.training.loop` and `train.studies.training`; how seeds lie on devices is in `train.step.parallel`.
"""

import abc
import collections
import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from absl import logging
from etils import epath
from ml_collections import FrozenConfigDict as Config

from train import config as defaults
from train import data as datasets
from train.data import batches
from train.data.base import Data
from train.data.prefetch import prefetch
from train.errors import NonFiniteError, StoppedError, UserError
from train.library import described
from train.runtime import checkpoint, kinds, processes, trackers
from train.runtime import workdir as workdirs
from train.runtime.disk import disk_errors
from train.runtime.interruption import Interruption
from train.runtime.lease import Lease
from train.runtime.profiling import Profile
from train.runtime.progress import Progress
from train.runtime.writers import NullWriter, Writer
from train.training.experiment import Experiment
from train.training.session import S, add

R = TypeVar('R')  # what a finished training leaves: a Result, a StudyRecord


@dataclasses.dataclass
class Trainer(abc.ABC, Generic[S, R]):
    """What stays the same while epochs go by; `run` takes a session and returns the one at the end.

    kind: 'run' or 'study', see `train.runtime.kinds`.
    """

    kind: ClassVar[str]

    experiment: Experiment
    data: Data
    saved: checkpoint.Checkpoints
    workdir: epath.Path
    interruption: Interruption
    mute: bool = False

    def __post_init__(self) -> None:
        self.config = self.experiment.config
        self.train = self.data.source('train')
        self.validation = self.data.source('validation')
        self.call = self.experiment.train_call()
        self.profile = Profile(self.workdir / 'profile', self.config.profile_steps)
        self.per_epoch = batches.steps_per_epoch(len(self.train), self.config.batch_size)

    @abc.abstractmethod
    def template(self) -> Any:
        """The shapes and dtypes of the arrays of a checkpoint."""

    @abc.abstractmethod
    def fresh(self) -> S:
        """The session before the first step."""

    @abc.abstractmethod
    def restored(self, arrays: Any, record: Mapping[str, Any]) -> S:
        """The session of a checkpoint."""

    @abc.abstractmethod
    def contents(self, session: S) -> tuple[Any, dict[str, Any], int | None]:
        """Arrays and record of a checkpoint, and the step of the best one, None where each holds its own best."""

    @abc.abstractmethod
    def close_epoch(self, session: S) -> tuple[S, dict[str, Any]]:
        """Validate and decide; the session, whose sums are empty again, and what is logged of the epoch."""

    @abc.abstractmethod
    def line(self, session: S, values: Mapping[str, Any]) -> str:
        """What is printed of an epoch, of which `values` were logged."""

    @abc.abstractmethod
    def conclude(self, session: S) -> R:
        """Evaluate the test split, once, and write the result."""

    def show(self, session: S, epoch: int, writer: Writer | NullWriter) -> None:
        """Pictures of an epoch."""

    def after_break(self, session: S, bad_step: int) -> S:
        """What follows numbers that broke all that trains: the end, or a session to go on from."""
        raise NonFiniteError(bad_step, f'Step {bad_step} broke.')

    def start(self) -> S:
        """The newest checkpoint's session, or a fresh one."""
        newest = self.saved.restore_latest(self.template())
        if newest is not None:
            arrays, record = newest
            self._check_data(record)
            logging.info('Going on from step %d.', record['step'])
            return self.restored(arrays, record)
        if (self.workdir / kinds.RESULTS[self.kind]).exists():
            raise UserError(
                'This folder has a result but no checkpoints to go on from; restore them, or give another --workdir.'
            )
        return self.fresh()

    def run(self, session: S) -> S:
        """Epochs until the budget is used up or the session is finished, each written to the folder."""
        first = processes.is_first()
        total = self.config.epochs * self.per_epoch
        writer = Writer.of(self.config, self.workdir, session.step) if first else NullWriter()
        with writer, Progress(total, session.step, show=first and not self.mute) as progress:
            while session.step < total and not session.finished:
                start, start_step = time.monotonic(), session.step
                session, bad_step = self.epoch(session, progress)
                if bad_step >= 0:
                    session = self.after_break(session, bad_step)
                    continue
                if session.step % self.per_epoch:
                    self._save(session)
                    self._stop(session)
                speed = (session.step - start_step) / (time.monotonic() - start)
                session, logged = self.close_epoch(session)
                clock = {'steps_per_second': speed, 'epoch_seconds': time.monotonic() - start}
                self._report(session, {**logged, **clock}, writer, progress)
                if self.interruption.requested() and session.step < total:
                    self._stop(session)
        return session

    def epoch(self, session: S, progress: Progress) -> tuple[S, int]:
        """Train to the end of the epoch, to the call after which it is told to stop, or to broken numbers.

        Returns the session and the first bad step, -1 if there is none.
        """
        pending: collections.deque = collections.deque()
        state, step, sums, bad_step = session.state, session.step, session.sums, -1
        collect = self.experiment.layout.collect
        for batch, indices in prefetch(self.experiment.chunks(self.train, step)):
            with self.profile.step(step):
                state, outcome = self.call(state, batch, indices)
            step += len(batch)
            pending.append(outcome)
            # Waiting on the call before the last bounds the queue and leaves the devices busy.
            if len(pending) > 2:
                metrics, bad_step = collect(pending.popleft())
                sums = add(sums, metrics)
            self.profile.advance(len(batch), outcome)
            progress.at(step)
            if bad_step >= 0 or self.interruption.requested():
                break
        self.profile.stop()
        while pending and bad_step < 0:
            metrics, bad_step = collect(pending.popleft())
            sums = add(sums, metrics)
        return dataclasses.replace(session, state=state, step=step, sums=sums), bad_step

    def _report(
        self, session: S, logged: dict[str, Any], writer: Writer | NullWriter, progress: Progress
    ) -> None:
        """Write what is logged of an epoch, save, and show it."""
        epoch = session.step // self.per_epoch
        values = {'epoch': epoch, **logged}
        writer.scalars(session.step, values)
        self._save(session)
        if epoch % self.config.log_every == 0:
            progress.line(self.line(session, values))
        self.show(session, epoch, writer)

    def _save(self, session: S) -> None:
        if session.step in self.saved.steps():
            return
        self.data.require_intact()
        arrays, record, best_step = self.contents(session)
        record['config'] = json.loads(self.config.to_json())
        record['data'] = self.data.fingerprint
        self.saved.save(session.step, arrays, record, best_step=best_step)

    def _check_data(self, record: Mapping[str, Any]) -> None:
        """Refuse to go on with other rows; records of earlier versions do not say which theirs were."""
        if record.get('data', self.data.fingerprint) != self.data.fingerprint:
            raise UserError(
                f'A run goes on with the rows that it was trained on, {record["data"]}; found '
                f'{self.data.fingerprint} in {self.data.location or "memory"}: restore them, or give another --workdir.'
            )

    def _stop(self, session: S) -> None:
        """Leave after a request to stop, once the session is on disk."""
        self.saved.wait()
        raise StoppedError(session.step, self.interruption.exit_code)


def run(
    trainer: type[Trainer[S, R]],
    create: Callable[[Config], Experiment],
    finished: Callable[[epath.Path, Config], R | None],
    config: Config,
    workdir: epath.Path,
    *,
    mute: bool,
) -> R:
    """Train a config in a folder, or go on where the training there was left; returns what its result file holds.

    create: the experiment of a config. finished: what the folder's result holds if this config needs no more training,
    else None. mute: without progress bar and line of each epoch.
    Raises UserError for what the user can mend, NonFiniteError when the numbers break, StoppedError after a signal.
    """
    config = Config(defaults.settled(config))
    kinds.check(workdir, trainer.kind)
    workdirs.check(workdir, config)
    described.check(workdir, config)
    earlier = finished(workdir, config)
    if earlier:
        path = workdir / kinds.RESULTS[trainer.kind]
        logging.info('This %s is finished; its result is in %s', trainer.kind, path)
        return earlier
    trackers.named(config.trackers)
    experiment = create(config)
    processes.barrier('before the workdir is written')
    with contextlib.ExitStack() as stack:
        if processes.is_first():
            workdirs.make(workdir)
            stack.enter_context(Lease(workdir))
            workdirs.write_config(workdir, config)
            described.write(workdir, experiment.description)
        data = processes.first_then_others(lambda: datasets.load(config), 'data')
        stack.enter_context(disk_errors(workdir))
        saved = stack.enter_context(checkpoint.Checkpoints(workdir))
        stack.enter_context(processes.leaving_when_alone(workdir))
        with Interruption() as interruption:
            training = trainer(experiment, data, saved, workdir, interruption, mute=mute)
            session = training.run(training.start())
        saved.wait()
        return training.conclude(session)
