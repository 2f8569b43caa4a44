"""A single run from its config to its result: resume, train, validate, stop, restore the best, test."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging
from clu import parameter_overview
from etils import epath
from ml_collections import FrozenConfigDict as Config

from train.diagnostics import broken_numbers
from train.errors import NonFiniteError
from train.figures import showing
from train.optim import warm_start
from train.runtime import processes
from train.runtime.progress import epoch_line
from train.runtime.workdir import write_text
from train.runtime.writers import NullWriter, Writer
from train.step.state import TrainState
from train.step.stopping import Stopping
from train.training import conclusion, trainer
from train.training import experiment as experiments
from train.training.result import Result, mean_and_error
from train.training.session import RunSession, means


def run(config: Config, workdir: epath.Path, *, mute: bool = False) -> Result:
    """Train a config in a folder, or go on; returns what `result.json` holds, see `train.training.trainer.run`."""
    return trainer.run(Run, experiments.create, conclusion.finished, config, workdir, mute=mute)


class Run(trainer.Trainer[RunSession, Result]):
    """A single run: one seed over all devices."""

    kind = 'run'

    def template(self) -> TrainState:
        return self.experiment.template()

    def fresh(self) -> RunSession:
        state = experiments.fresh_state(self.experiment, self.train)
        state = warm_start.apply(state, self.config)
        if processes.is_first():
            overview = parameter_overview.get_parameter_overview(state.params)
            write_text(self.workdir / 'parameters.txt', overview + '\n')
        logging.info('%s parameters.', f'{parameter_overview.count_parameters(state.params):,}')
        state = self.experiment.layout.place(state)
        return RunSession(state=state, stopping=Stopping(self.config.look_ahead))

    def restored(self, arrays: TrainState, record: Mapping[str, Any]) -> RunSession:
        best = record['stopping']['best_epoch'] * self.per_epoch
        if best and best != record['step'] and processes.is_first():
            self.saved.warn_unless_readable(best, self.template())
        return RunSession.from_record(self.experiment.layout.place(arrays), record)

    def contents(self, session: RunSession) -> tuple[TrainState, dict[str, Any], int]:
        state = self.experiment.layout.fetch(session.state)
        return state, session.record(), session.stopping.best_epoch * self.per_epoch

    def after_break(self, session: RunSession, bad_step: int) -> RunSession:
        """Say what broke; go back to the last checkpoint with half the learning rate, or raise NonFiniteError."""
        self.saved.wait()
        config, frozen = self.config, self.experiment.layout.fetch(session.state)
        where = f'Step {bad_step} broke.'
        if processes.is_first():
            folder = self.workdir / f'broken-{bad_step}'
            where = broken_numbers.examine(self.experiment, self.train, frozen, bad_step, folder)
        processes.barrier('examined')
        kept = self.saved.steps()
        last = (
            f'The last checkpoint is of step {kept[-1]}.' if kept else 'There is no checkpoint yet.'
        )
        if config.on_nan == 'raise' or len(session.rollbacks) >= config.max_rollbacks:
            raise NonFiniteError(bad_step, f'{where} {last}')
        logging.warning('%s %s Going back, with half the learning rate.', where, last)
        back = self.start()
        scale = float(frozen.lr_scale) / 2
        rollback = {'bad_step': bad_step, 'to_step': back.step, 'lr_scale': scale, 'why': where}
        layout = self.experiment.layout
        lr_scale = layout.mapping.replicate(np.float32(scale), layout.devices)
        return dataclasses.replace(
            back,
            state=back.state.replace(lr_scale=lr_scale),
            rollbacks=(*session.rollbacks, rollback),
        )

    def close_epoch(self, session: RunSession) -> tuple[RunSession, dict[str, Any]]:
        """Validation is every `config.eval_every` epochs."""
        values = {
            name: float(mean) for name, mean in means(session.sums).items() if not np.isnan(mean)
        }
        session = dataclasses.replace(session, sums={})
        if session.step // self.per_epoch % self.config.eval_every:
            return session, values
        session, validated = self._validate(session)
        return session, values | validated

    def _validate(self, session: RunSession) -> tuple[RunSession, dict[str, Any]]:
        samples, evaluator = self.config.eval_samples, self.experiment.evaluator
        values = evaluator.validation(session.state, self.validation, 'validation', samples)
        mean, error = mean_and_error(values['log_likelihood'])
        stopping = session.stopping.update(session.step // self.per_epoch, -mean)
        name = 'validation_nll' if self.experiment.model.exact else 'validation_negative_elbo'
        logged = evaluator.diagnostics(session.state, self.validation)
        logged |= {name: -mean, 'best_epoch': stopping.best_epoch}
        if error is not None:  # a validation split of one example has none
            logged[f'{name}_2se'] = error
        nats = values['log_likelihood'].astype(np.float64) + values['log_det']
        units = session.state.preprocessing.units
        bits = units.bits_per_dim(float(nats.mean()), self.data.num_features)
        if bits is not None:  # the data have grey levels
            logged['validation_bits_per_dim'] = bits
        return dataclasses.replace(session, stopping=stopping), logged

    def line(self, session: RunSession, values: Mapping[str, Any]) -> str:
        return epoch_line(values, self.config.epochs)

    def show(self, session: RunSession, epoch: int, writer: Writer | NullWriter) -> None:
        """Samples, and what else there is of a model, every `config.generation_every` epochs."""
        if self.config.generation and epoch % self.config.generation_every == 0:
            showing.samples(self.experiment, session, self.validation, self.workdir, writer)

    def conclude(self, session: RunSession) -> Result:
        """Of the best checkpoint, by the record of the newest one."""
        return conclusion.conclude(self.experiment, self.data, session, self.saved, self.workdir)
