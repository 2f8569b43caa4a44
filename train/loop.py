"""A run from its config to its result: resume, train, validate, stop, restore the best, test."""

import collections
import contextlib
import dataclasses
import json
import time

import numpy as np
from absl import logging
from clu import parameter_overview

from train import conclusion
from train import data as datasets
from train import experiment as experiments
from train.data import batches
from train.data.prefetch import prefetch
from train.diagnostics import broken_numbers
from train.errors import NonFiniteError, StoppedError, UserError
from train.figures import showing
from train.optim import warm_start
from train.result import mean_and_error
from train.runtime import checkpoint, kinds, processes
from train.runtime import workdir as workdirs
from train.runtime.disk import disk_errors
from train.runtime.interruption import Interruption
from train.runtime.lease import Lease
from train.runtime.profiling import Profile
from train.runtime.progress import Progress
from train.runtime.writers import NullWriter, Writer
from train.session import Session, add, means
from train.step import parallel as on
from train.step.stopping import Stopping


def run(config, workdir, *, mute: bool = False):
    """Train a config in a folder, or go on where the run there was left; returns what `result.json` holds.

    mute: without progress bar and line of each epoch.
    Raises UserError for what the user can mend, NonFiniteError when the numbers break, StoppedError after a signal.
    """
    kinds.check(workdir, 'run')
    workdirs.check(workdir, config)
    finished = conclusion.finished(workdir, config)
    if finished:
        logging.info('This run is finished; its result is in %s', workdir / 'result.json')
        return finished
    experiment = experiments.create(config)
    processes.barrier('before the workdir is written')
    with contextlib.ExitStack() as stack:
        if processes.is_first():
            workdirs.make(workdir)
            stack.enter_context(Lease(workdir))
            workdirs.write_config(workdir, config)
        data = processes.first_then_others(lambda: datasets.load(config), 'data')
        stack.enter_context(disk_errors(workdir))
        saved = stack.enter_context(checkpoint.Checkpoints(workdir))
        stack.enter_context(processes.leaving_when_alone(workdir))
        session = _start(experiment, data, saved)
        with Interruption() as interruption:
            training = Training(experiment, data, saved, workdir, interruption, mute=mute)
            session = training.run(session)
        saved.wait()
        return conclusion.conclude(experiment, data, session, saved, workdir)


def _start(experiment, data, saved):
    """The newest checkpoint's session, or a fresh one."""
    restored = saved.restore_latest(experiment.template())
    if restored is not None:
        state, record = restored
        logging.info('Going on from step %d.', record['step'])
        return Session.from_record(on.replicate(state, experiment.devices), record)
    if saved.has_result():
        raise UserError(
            'This folder has a result but no checkpoints to go on from; restore them, or give another --workdir.'
        )
    state = experiments.fresh_state(experiment, data.source('train'))
    state = warm_start.apply(state, experiment.config)
    logging.info('\n%s', parameter_overview.get_parameter_overview(state.params))
    stopping = Stopping(experiment.config.look_ahead)
    return Session(on.replicate(state, experiment.devices), stopping)


class Training:
    """What stays the same while epochs go by; `run` takes a session and returns the one at the end."""

    def __init__(self, experiment, data, saved, workdir, interruption, *, mute: bool = False):
        self._experiment = experiment
        self._config = experiment.config
        self._data = data
        self._train = data.source('train')
        self._validation = data.source('validation')
        self._saved = saved
        self._workdir = workdir
        self._interruption = interruption
        self._mute = mute
        self.call = experiment.train_call()
        self._per_epoch = batches.steps_per_epoch(len(self._train), self._config.batch_size)

    def run(self, session):
        """Epochs until the budget or the patience is used up."""
        first = processes.is_first()
        total = self._config.epochs * self._per_epoch
        writer = (
            Writer(self._workdir, session.step, tensorboard=self._config.tensorboard)
            if first
            else NullWriter()
        )
        with writer, Progress(total, session.step, show=first and not self._mute) as progress:
            while session.step < total and not session.stopping.should_stop:
                start, start_step = time.monotonic(), session.step
                session, bad_step = self.epoch(session, progress)
                if bad_step >= 0:
                    session = self._after_break(session, bad_step)
                    continue
                if session.step % self._per_epoch:
                    self._save(session)
                    self._stop(session)
                speed = (session.step - start_step) / (time.monotonic() - start)
                session = self._close_epoch(session, writer, progress, speed, start)
                if self._interruption.requested() and session.step < total:
                    self._stop(session)
        return session

    def _stop(self, session):
        """Leave after a request to stop, once the session is on disk."""
        self._saved.wait()
        raise StoppedError(session.step, self._interruption.exit_code)

    def epoch(self, session, progress):
        """Train to the end of the epoch, to the call after which the run is told to stop, or to broken numbers.

        Returns the session and the first bad step, -1 if there is none.
        """
        pending = collections.deque()
        state, step, sums, bad_step = session.state, session.step, session.sums, -1
        profile = Profile(self._workdir / 'profile', self._config.profile_steps)
        for batch, indices, _ in prefetch(self._experiment.chunks(self._train, step)):
            with profile.step(step):
                state, metrics = self.call(state, batch, indices)
            step += len(batch)
            pending.append(metrics)
            # Waiting on the call before the last bounds the queue and leaves the device busy.
            if len(pending) > 2:
                sums, bad_step = _collect(pending.popleft(), sums)
            profile.advance(len(batch), metrics)
            progress.at(step)
            if bad_step >= 0 or self._interruption.requested():
                break
        profile.stop()
        while pending and bad_step < 0:
            sums, bad_step = _collect(pending.popleft(), sums)
        return dataclasses.replace(session, state=state, step=step, sums=sums), bad_step

    def _after_break(self, session, bad_step):
        """Say what broke; go back to the last checkpoint with half the learning rate, or raise NonFiniteError."""
        self._saved.wait()
        config, frozen = self._config, on.unreplicate(session.state)
        where = f'Step {bad_step} broke.'
        if processes.is_first():
            folder = self._workdir / f'broken-{bad_step}'
            where = broken_numbers.examine(self._experiment, self._train, frozen, bad_step, folder)
        kept = self._saved.steps()
        kept = (
            f'The last checkpoint is of step {kept[-1]}.' if kept else 'There is no checkpoint yet.'
        )
        if config.on_nan == 'raise' or len(session.rollbacks) >= config.max_rollbacks:
            raise NonFiniteError(bad_step, f'{where} {kept}')
        logging.warning('%s %s Going back, with half the learning rate.', where, kept)
        back = _start(self._experiment, self._data, self._saved)
        scale = float(frozen.lr_scale) / 2
        rollback = {'bad_step': bad_step, 'to_step': back.step, 'lr_scale': scale, 'why': where}
        lr_scale = on.replicate(np.float32(scale), self._experiment.devices)
        return dataclasses.replace(
            back,
            state=back.state.replace(lr_scale=lr_scale),
            rollbacks=(*session.rollbacks, rollback),
        )

    def _close_epoch(self, session, writer, progress, speed, start):
        """Validate, decide, write and save; `start` is when the epoch began, or this process within it."""
        config, epoch = self._config, session.step // self._per_epoch
        values = {'epoch': epoch, **means(session.sums), 'steps_per_second': speed}
        session = dataclasses.replace(session, sums={})
        if epoch % config.eval_every == 0:
            found = self._experiment.evaluator.validation(
                session.state, self._validation, 'validation', config.eval_samples
            )
            mean, error = mean_and_error(found['log_likelihood'])
            loss = -mean
            session = dataclasses.replace(session, stopping=session.stopping.update(epoch, loss))
            name = 'validation_nll' if self._experiment.model.exact else 'validation_negative_elbo'
            values |= self._experiment.evaluator.diagnostics(session.state, self._validation)
            values |= {name: loss, 'best_epoch': session.stopping.best_epoch}
            if error is not None:  # a validation split of one example has none
                values[f'{name}_2se'] = error
            values |= self._bits_per_dim(session.state.preprocessing.units, found)
        values['epoch_seconds'] = time.monotonic() - start
        writer.scalars(session.step, values)
        self._save(session)
        if epoch % config.log_every == 0:
            progress.line(showing.epoch_line(values))
        if config.generation and epoch % config.generation_every == 0:
            showing.samples(self._experiment, session, self._validation, self._workdir, writer)
        return session

    def _bits_per_dim(self, units, found):
        """`validation_bits_per_dim` of what the evaluator found, where the data have grey levels."""
        nats = found['log_likelihood'].astype(np.float64) + found['log_det']
        bits = units.bits_per_dim(float(nats.mean()), self._data.num_features)
        return {} if bits is None else {'validation_bits_per_dim': bits}

    def _save(self, session):
        if session.step in self._saved.steps():
            return
        self._data.require_intact()
        state = on.unreplicate(session.state)
        record = {**session.record(), 'config': json.loads(self._config.to_json())}
        best_step = session.stopping.best_epoch * self._per_epoch
        self._saved.save(session.step, state, record, best_step=best_step)


def _collect(call, sums):
    """The sums with a finished call's metrics, and the first bad step up to its end, -1 if there is none."""
    metrics, bad_step = on.unreplicate(call)
    return add(sums, metrics), int(bad_step)
