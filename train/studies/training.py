"""A study: one config trained from many seeds in one program, each seed with its own stopping and its own end."""

import collections
import contextlib
import dataclasses
import json
import time

import jax
import numpy as np
from absl import logging

from train import data as datasets
from train import experiment as experiments
from train.data import batches
from train.data.prefetch import prefetch
from train.errors import StoppedError, UserError
from train.runtime import checkpoint, kinds
from train.runtime import workdir as workdirs
from train.runtime.disk import disk_errors
from train.runtime.interruption import Interruption
from train.runtime.lease import Lease
from train.runtime.progress import Progress
from train.runtime.writers import Writer
from train.step.stopping import Stopping
from train.studies import curves, many_seeds, results
from train.studies.session import StudySession, add, extend, resized_record, take_improved


def run(config, workdir, *, mute: bool = False):
    """Train all seeds of a config in a folder, or go on; returns what `study.json` holds.

    mute: without progress bar and line of each epoch.
    Raises UserError for what the user can mend and StoppedError after a signal. A seed whose numbers break is marked
    and leaves the others alone.
    """
    if jax.process_count() > 1:
        raise UserError(f'train.study runs in one process, found {jax.process_count()}.')
    many_seeds.check_fields(config)
    kinds.check(workdir, 'study')
    workdirs.check(workdir, config)
    finished = results.finished(workdir, config)
    if finished:
        logging.info('This study is finished; it is in %s', workdir / 'study.json')
        return finished
    experiment = experiments.create(config, splits_batch=False)
    seeds = many_seeds.padded(many_seeds.all_seeds(config), len(experiment.devices))
    with contextlib.ExitStack() as stack:
        workdirs.make(workdir)
        stack.enter_context(Lease(workdir))
        workdirs.write_config(workdir, config)
        data = datasets.load(config)
        stack.enter_context(disk_errors(workdir))
        saved = stack.enter_context(checkpoint.Checkpoints(workdir))
        with Interruption() as interruption:
            study = Study(experiment, seeds, data, saved, interruption)
            session = study.run(study.start(), workdir, mute=mute)
        saved.wait()
        return results.conclude(study, session, workdir)


class Study:
    """What stays the same while epochs go by."""

    def __init__(self, experiment, seeds, data, saved, interruption):
        self.experiment = experiment
        self.config = experiment.config
        self.seeds = seeds
        self.data = data
        self.evaluate = many_seeds.StudyEvaluator(experiment)
        self._train = data.source('train')
        self._validation = data.source('validation')
        self._saved = saved
        self._interruption = interruption
        self._call = many_seeds.training_call(experiment)
        self.per_epoch = batches.steps_per_epoch(len(self._train), self.config.batch_size)

    def start(self):
        """The newest checkpoint's session, or a fresh one."""
        template = many_seeds.template(self.experiment, self.config.num_seeds)
        both = {'state': template, 'best': template.variables}
        restored = self._saved.restore_latest(both)
        if restored is not None:
            trees, record = restored
            logging.info('Going on from step %d.', record['step'])
            count = len(self.seeds)
            state, best = many_seeds.resized_trees(trees['state'], trees['best'], count)
            state = many_seeds.spread(state, self.experiment.devices)
            return StudySession.from_record(state, best, resized_record(record, count))
        first = many_seeds.first_states(self.experiment, self._train, self.seeds)
        return StudySession(
            state=many_seeds.spread(first, self.experiment.devices),
            best=first.variables,
            stoppings=(Stopping(self.config.look_ahead),) * len(self.seeds),
            diverged=(None,) * len(self.seeds),
            curves=curves.empty(self.experiment.model, len(self.seeds)),
        )

    def run(self, session, workdir, *, mute: bool = False):
        """Epochs until the budget is used up or no seed trains any more, each written to the folder."""
        total = self.config.epochs * self.per_epoch
        writer = Writer(workdir, session.step, tensorboard=self.config.tensorboard)
        with writer, Progress(total, session.step, show=not mute) as progress:
            while session.step < total and session.running.any():
                start, start_step = time.monotonic(), session.step
                session = self._epoch(session, progress)
                if session.step % self.per_epoch:
                    self._save(session)
                    self._stop(session)
                speed = (session.step - start_step) / (time.monotonic() - start)
                session = self._close_epoch(session)
                clock = {'steps_per_second': speed, 'epoch_seconds': time.monotonic() - start}
                self._report(session, writer, progress, clock)
                if self._interruption.requested() and session.step < total:
                    self._stop(session)
        return session

    def _stop(self, session):
        """Leave after a request to stop, once the session is on disk."""
        self._saved.wait()
        raise StoppedError(session.step, self._interruption.exit_code)

    def _epoch(self, session, progress):
        """Train to the end of the epoch, or to the call after which the study is told to stop."""
        pending = collections.deque()
        state, step, sums = session.state, session.step, session.sums
        devices = len(self.experiment.devices)
        chunks = many_seeds.chunks(self.config, self._train, self.seeds, step, devices)
        for batch, indices in prefetch(chunks):
            state, metrics = self._call(state, batch, indices)
            step += len(batch)
            pending.append(metrics)
            # Waiting on the call before the last bounds the queue and leaves the devices busy.
            if len(pending) > 2:
                sums = add(sums, _of_seeds(pending.popleft()))
            progress.at(step)
            if self._interruption.requested():
                break
        while pending:
            sums = add(sums, _of_seeds(pending.popleft()))
        return dataclasses.replace(session, state=state, step=step, sums=sums)

    def _close_epoch(self, session):
        """Validate all seeds, mark what broke, and decide for each whether it goes on."""
        epoch, running = session.step // self.per_epoch, session.running
        host = many_seeds.gather(session.state)
        broke = running & (host.bad_step >= 0)
        quantity = 'log_likelihood' if self.experiment.model.exact else 'elbo'
        found = self.evaluate(
            session.state, self._validation, 'validation', quantity, self.config.eval_samples
        )
        losses = curves.next_points(session, found, broke)
        validation = losses['validation']
        stoppings = tuple(
            stopping.update(epoch, loss) if on else stopping
            for stopping, loss, on in zip(session.stoppings, validation, running, strict=True)
        )
        improved = running & np.array([stopping.improved for stopping in stoppings])
        session = dataclasses.replace(
            session,
            stoppings=stoppings,
            best=take_improved(session.best, host.variables, improved),
            diverged=tuple(
                epoch if bad else before
                for before, bad in zip(session.diverged, broke, strict=True)
            ),
            curves=extend(session.curves, **losses),
            sums={},
        )
        frozen = host.replace(frozen=~session.running)
        if (frozen.frozen != host.frozen).any():
            state = many_seeds.spread(frozen, self.experiment.devices)
            session = dataclasses.replace(session, state=state)
        return session

    def _report(self, session, writer, progress, clock):
        """Write the last epoch of each seed, save, and print a line."""
        epoch, count = session.step // self.per_epoch, self.config.num_seeds
        writer.scalars(
            session.step,
            {'epoch': epoch, **curves.last(session.curves, self.config.seed, count), **clock},
        )
        self._save(session)
        if epoch % self.config.log_every == 0:
            progress.line(f'{self._line(epoch, session)}, {clock["epoch_seconds"]:.3f} s')

    def _line(self, epoch, session):
        count = self.config.num_seeds
        losses = np.array([curve[-1] for curve in session.curves['validation'][:count]])
        finite = losses[np.isfinite(losses)]
        summary = (
            'no seed trains'
            if not finite.size
            else (
                f'validation loss median {np.median(finite):.3f}, '
                f'from {finite.min():.3f} to {finite.max():.3f} over {finite.size} seeds'
            )
        )
        return f'epoch {epoch}: {summary}, {count - finite.size} diverged'

    def _save(self, session):
        if session.step in self._saved.steps():
            return
        self.data.require_intact()
        count = self.config.num_seeds
        state, best = many_seeds.resized_trees(
            many_seeds.gather(session.state), session.best, count
        )
        record = resized_record(session.record(), count)
        record['config'] = json.loads(self.config.to_json())
        self._saved.save(session.step, {'state': state, 'best': best}, record)


def _of_seeds(metrics):
    """Metrics of all devices as (seeds,) arrays on the host."""
    return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1), jax.device_get(metrics))
