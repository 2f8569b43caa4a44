"""What a study leaves: `study.json`, tables, pictures."""

import csv
import io
import json

import jax
import numpy as np
from absl import logging

from train import conclusion, result, study_metrics, study_parts, study_pictures, study_statistics
from train import workdir as workdirs
from train.writers import save_png


def finished(workdir, config):
    """The study in a folder if it needs no more training for this config, else None."""
    path = workdir / 'study.json'
    if not path.exists():
        return None
    found = workdirs.read_json(path)
    evaluated = found['num_samples'] in (None, config.num_samples)
    return found if evaluated and (found['stopped'] or found['epochs'] >= config.epochs) else None


def conclude(study, session, workdir):
    """Evaluate each seed's best epoch on the test split, once, and write everything."""
    count = study.config.num_seeds
    config, model = study.config, study.experiment.model
    curves = {name: np.array(rows[:count]) for name, rows in session.curves.items()}
    looks = conclusion.count_test_look(workdir, session.step)
    tested = _test(study, session)
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
        'best_epochs': [stopping.best_epoch for stopping in session.stoppings[:count]],
        'test_nats': tested.tolist(),
        'test_evaluations': looks,
        'entropy': study.data.entropy,
        'metrics': metrics(curves['validation']),
        'config': json.loads(config.to_json()),
        **result.provenance(),
    }
    workdirs.write_json(workdir / 'study.json', found)
    _write_tables(found, workdir)
    save_png(workdir / 'curves.png', study_pictures.curves([found]))
    save_png(workdir / 'metrics.png', study_pictures.bars([found]))
    logging.info('The study is in %s', workdir / 'study.json')
    return found


def _test(study, session):
    """(seeds,) mean test log-likelihood in nats, data space, of each seed's best epoch; nan where it never had one."""
    host = study_parts.gather(session.state)
    best = dict(session.best)
    params = best.pop('params')
    state = host.replace(params=params, model_state=best, average=None)
    state = study_parts.spread(state, study.experiment.devices)
    samples = 1 if study.experiment.model.exact else study.config.num_samples
    values = study.evaluate(state, study.data.source('test'), 'test', 'log_likelihood', samples)
    total = values['value'].astype(np.float64) + values['log_det'].astype(np.float64)
    never_better = np.array([stopping.best_epoch == 0 for stopping in session.stoppings])
    return np.where(never_better, np.nan, total.mean(axis=1))[: study.config.num_seeds]


def metrics(validation):
    """name -> {'median', 'iqr', 'interval'} over seeds of what describes convergence; (seeds, epochs) losses in nats.

    `interval` is the bootstrap's 95 % of the median. A diverged seed counts as infinitely bad, except in
    `best`.
    """
    window = max(2, min(20, validation.shape[1] // 5))
    per_seed = {
        'best': study_metrics.best(validation),
        'best_epoch': study_metrics.best_epoch(validation),
        'last': study_metrics.last(validation),
        'area_under_curve': study_metrics.area_under_curve(validation, np.nanmin(validation)),
        'epochs_to_within_1_percent': study_metrics.epochs_to_within(
            validation, 0.01 * abs(float(np.nanmin(validation)))
        ),
        'slope': study_metrics.slope(validation, window),
    }
    found = {
        name: {
            'median': float(study_metrics.quantile(values, 0.5)),
            'iqr': [float(study_metrics.quantile(values, q)) for q in (0.25, 0.75)],
            'interval': [float(v) for v in study_statistics.bootstrap_interval(values)],
        }
        for name, values in per_seed.items()
    }
    found['divergence_rate'] = float(study_metrics.divergence_rate(validation))
    found['published'] = study_metrics.published_metrics(validation)
    return found


def _write_tables(found, workdir):
    lines = ['| metric | median | IQR | 95 % interval of the median |', '|---|---|---|---|']
    rows = [('metric', 'median', 'low', 'high')]
    for name, value in found['metrics'].items():
        if isinstance(value, dict) and 'median' in value:
            low, high = value['iqr']
            left, right = value['interval']
            lines.append(
                f'| {name} | {value["median"]:.4g} | {low:.4g} to {high:.4g} | {left:.4g} to {right:.4g} |'
            )
            rows.append((name, value['median'], low, high))
    lines.append(f'| divergence rate | {found["metrics"]["divergence_rate"]:.2f} | | |')
    workdirs.write_text(workdir / 'study.md', '\n'.join(lines) + '\n')
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    workdirs.write_text(workdir / 'study.csv', text.getvalue())
