"""What a study leaves: `study.json`, tables, pictures."""

import csv
import io
import json

import jax
import numpy as np
from absl import logging

from train import conclusion, result, study_parts, study_pictures, study_showing, study_summary
from train import workdir as workdirs
from train.writers import save_png


def finished(workdir, config):
    """The study in a folder if it needs no more training for this config, else None."""
    path = workdir / 'study.json'
    if not path.exists():
        return None
    found = workdirs.read_json(path, {'num_samples': int | None, 'stopped': bool, 'epochs': int})
    evaluated = found['num_samples'] in (None, config.num_samples)
    return found if evaluated and (found['stopped'] or found['epochs'] >= config.epochs) else None


def conclude(study, session, workdir):
    """Evaluate each seed's best epoch on the test split, once, and write everything, in nats of data space."""
    count = study.config.num_seeds
    config, model = study.config, study.experiment.model
    curves = {name: np.array(rows[:count]) for name, rows in session.curves.items()}
    looks = conclusion.count_test_look(workdir, session.step)
    best = _best_state(session)
    best_epochs = [stopping.best_epoch for stopping in session.stoppings[:count]]
    trained = np.array(best_epochs) > 0
    found = {
        'model': config.model,
        'dataset': result.dataset_title(config),
        'quantity': 'exact log-likelihood' if model.exact else 'importance-weighted bound',
        'validation_quantity': 'nll' if model.exact else 'negative ELBO',
        'num_samples': None if model.exact else config.num_samples,
        'seeds': [vars(seeds) for seeds in study.seeds[:count]],
        'epochs': session.step // study.per_epoch,
        'stopped': not session.running.any(),
        'steps': session.step,
        'parameters': sum(leaf[0].size for leaf in jax.tree.leaves(session.best['params'])),
        'train': curves['train'].tolist(),
        'val': curves['validation'].tolist(),
        'diverged': list(session.diverged[:count]),
        'best_epochs': best_epochs,
        'test_nats': np.where(trained, _test(study, best)[:count], np.nan).tolist(),
        'test_evaluations': looks,
        'entropy': study.data.entropy,
        'metrics': study_summary.metrics(curves['validation'], curves['train']),
        'config': json.loads(config.to_json()),
        **result.provenance(),
    }
    _write_tables(found, workdir)
    _pictures(study, found, best, trained, workdir)
    workdirs.write_json(workdir / 'study.json', found)
    logging.info('The study is in %s', workdir / 'study.json')
    return found


def _best_state(session):
    """The state of all seeds on the host with the parameters of each one's best epoch."""
    model_state = dict(session.best)
    params = model_state.pop('params')
    host = study_parts.gather(session.state)
    return host.replace(params=params, model_state=model_state, average=None)


def _test(study, best):
    """(seeds,) mean test log-likelihood in nats, data space, under a host state of all seeds."""
    state = study_parts.spread(best, study.experiment.devices)
    samples = 1 if study.experiment.model.exact else study.config.num_samples
    values = study.evaluate(state, study.data.source('test'), 'test', 'log_likelihood', samples)
    total = values['value'].astype(np.float64) + values['log_det'].astype(np.float64)
    return total.mean(axis=1)


def _pictures(study, found, best, trained, workdir):
    named = {study_pictures.title(found): found}
    save_png(workdir / 'curves.png', study_pictures.curves(named))
    save_png(workdir / 'metrics.png', study_pictures.bars(named))
    if study.config.generation:
        study_showing.show(study, best, trained, workdir)


def _write_tables(found, workdir):
    lines = ['| metric | median | IQR | 95 % interval of the median |', '|---|---|---|---|']
    rows = [('metric', 'median', 'low', 'high')]
    for name, value in found['metrics'].items():
        if isinstance(value, dict) and 'median' in value:
            low, high = value['iqr']
            interval = ' to '.join(f'{bound:.4g}' for bound in value['interval'] or ())
            lines.append(
                f'| {name} | {value["median"]:.4g} | {low:.4g} to {high:.4g} | {interval} |'
            )
            rows.append((name, value['median'], low, high))
    lines.append(f'| divergence rate | {found["metrics"]["divergence_rate"]:.2f} | | |')
    workdirs.write_text(workdir / 'study.md', '\n'.join(lines) + '\n')
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    workdirs.write_text(workdir / 'study.csv', text.getvalue())
