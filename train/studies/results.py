"""What a study leaves: `study.json`, tables, pictures."""

import csv
import io
import json
from typing import Any

import jax
import numpy as np
from absl import logging
from etils import epath
from ml_collections import FrozenConfigDict as Config

from train.data.base import Data
from train.runtime import workdir as workdirs
from train.runtime.writers import Writer, figure_png, save_png
from train.step.state import TrainState
from train.studies import curves, figures, seed_pictures, summary
from train.studies.record import StudyRecord
from train.studies.session import StudySession
from train.training import conclusion, result
from train.training.experiment import Experiment


def finished(workdir: epath.Path, config: Config) -> StudyRecord | None:
    """The study in a folder if it needs no more training for this config, else None."""
    path = workdir / 'study.json'
    if not path.exists():
        return None
    record = StudyRecord.from_json(workdirs.read_json(path, StudyRecord.required()))
    bound = record.num_samples, record.importance
    evaluated = bound[0] is None or bound == (config.num_samples, config.importance)
    return record if evaluated and (record.stopped or record.epochs >= config.epochs) else None


def conclude(
    experiment: Experiment, data: Data, session: StudySession, workdir: epath.Path
) -> StudyRecord:
    """Evaluate each seed's best epoch on the test split, once, and write everything, in nats of data space."""
    data.require_intact()
    looks = conclusion.count_test_look(workdir, session.step)
    best = _best_state(experiment, session)
    test_nats, sampling = _test(experiment, data, best)
    record = _record(
        experiment,
        session,
        test_nats,
        **sampling,
        test_evaluations=looks,
        entropy=data.entropy,
        **result.provenance(),
    )
    study = record.to_json()
    workdirs.write_json(workdir / 'study.json', study)
    _write_tables(record.metrics, workdir)
    drawn = _pictures(study)
    if experiment.config.generation:
        drawn |= seed_pictures.draw(experiment, data, best, _trained(session, experiment.config))
    _write_pictures(drawn, experiment.config, workdir, session.step)
    logging.info('The study is in %s', workdir / 'study.json')
    return record


def _trained(session: StudySession, config: Config) -> np.ndarray:
    """Which of the study's own seeds ever had a validation loss, (seeds,)."""
    return np.array([stopping.best_epoch > 0 for stopping in session.stoppings[: config.num_seeds]])


def _record(
    experiment: Experiment, session: StudySession, test_nats: np.ndarray, **measured: Any
) -> StudyRecord:
    """What `study.json` holds, from the curves and the test log-likelihoods (seeds,) of the study's own seeds."""
    config, model = experiment.config, experiment.model
    count = config.num_seeds
    kept = {name: np.array(rows[:count]) for name, rows in session.curves.items()}
    return StudyRecord(
        model=config.model,
        dataset=result.dataset_title(config),
        quantity='exact log-likelihood' if model.exact else 'importance-weighted bound',
        validation_quantity='nll' if model.exact else 'negative ELBO',
        num_samples=None if model.exact else config.num_samples,
        importance=None if model.exact else config.importance,
        seeds=[vars(seeds) for seeds in experiment.layout.seeds[:count]],
        epochs=session.step // experiment.steps_per_epoch,
        stopped=session.finished,
        steps=session.step,
        parameters=sum(leaf[0].size for leaf in jax.tree.leaves(session.best['params'])),
        train=kept['train'].tolist(),
        val=kept['validation'].tolist(),
        parts={name: rows.tolist() for name, rows in kept.items() if name not in curves.LOSSES},
        diverged=list(session.diverged[:count]),
        best_epochs=[stopping.best_epoch for stopping in session.stoppings[:count]],
        test_nats=np.where(_trained(session, config), test_nats, np.nan).tolist(),
        metrics=summary.metrics(kept['validation'], kept['train']),
        config=json.loads(config.to_json()),
        **measured,
    )


def _best_state(experiment: Experiment, session: StudySession) -> TrainState:
    """The state of all seeds on the host with the parameters of each one's best epoch."""
    model_state = dict(session.best)
    params = model_state.pop('params')
    host = experiment.layout.fetch(session.state)
    return host.replace(params=params, model_state=model_state, average=None)


def _test(experiment: Experiment, data: Data, best: TrainState) -> tuple[np.ndarray, dict]:
    """Test log-likelihood in nats of data space, (seeds,), under a host state of all seeds, and what tells its bias.

    The latter, {} without importance sampling, is a dict of lists with an entry for each seed, in nats of data space
    as well, see `result.importance_sampling`.
    """
    config, state = experiment.config, experiment.layout.place(best)
    count, samples = config.num_seeds, 1 if experiment.model.exact else config.num_samples
    values = experiment.evaluator.log_likelihood(
        state, data.source('test'), 'test', samples, config.importance
    )
    log_det = values.pop('log_det').astype(np.float64)
    for name in {'log_likelihood', 'log_likelihood_at_tenth'} & values.keys():
        values[name] = values[name].astype(np.float64) + log_det
    sampling = [
        result.importance_sampling({name: value[seed] for name, value in values.items()})
        for seed in range(count)
    ]
    by_name = {name: [of_seed[name] for of_seed in sampling] for name in sampling[0]}
    return values['log_likelihood'].mean(axis=1)[:count], by_name


def _pictures(study: dict[str, Any]) -> dict[str, bytes]:
    named = {figures.title(study): study}
    drawn = {'curves': figures.curves(named), 'metrics': figures.bars(named)}
    return {name: figure_png(figure) for name, figure in drawn.items()}


def _write_pictures(
    drawn: dict[str, bytes], config: Config, workdir: epath.Path, step: int
) -> None:
    """Each as a file, and in TensorBoard behind the last step of training."""
    with Writer.of(config, workdir, step) as writer:
        for name, png in drawn.items():
            save_png(workdir / f'{name}.png', png)
            writer.image(step, name, png)


def _write_tables(metrics: dict[str, Any], workdir: epath.Path) -> None:
    lines = ['| metric | median | IQR | 95 % interval of the median |', '|---|---|---|---|']
    rows = [('metric', 'median', 'low', 'high')]
    for name, value in metrics.items():
        if isinstance(value, dict) and 'median' in value:
            low, high = value['iqr']
            interval = ' to '.join(f'{bound:.4g}' for bound in value['interval'] or ())
            lines.append(
                f'| {name} | {value["median"]:.4g} | {low:.4g} to {high:.4g} | {interval} |'
            )
            rows.append((name, value['median'], low, high))
    lines.append(f'| divergence rate | {metrics["divergence_rate"]:.2f} | | |')
    workdirs.write_text(workdir / 'study.md', '\n'.join(lines) + '\n')
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    workdirs.write_text(workdir / 'study.csv', text.getvalue())
