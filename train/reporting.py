"""Runs and studies side by side, as Markdown and as one self-contained HTML page."""

import base64
import html
import json

import numpy as np

from train import published, study_pictures, study_results, study_statistics
from train import workdir as workdirs
from train.errors import UserError
from train.result import dataset_title, decimals

RUN_COLUMNS = (
    'run',
    'model',
    'dataset',
    'test, nats',
    'bits/dim',
    'kind',
    'epochs',
    'published',
    'source',
)
STUDY_COLUMNS = (
    'study',
    'model',
    'dataset',
    'seeds',
    'diverged',
    'epochs',
    'best: median (IQR)',
    'last: median',
    'published metrics: min, max, last, first, exceeds',
    'test, nats: median',
    'kind',
    'published',
)


def read(path):
    """('run' or 'study', its name, what its file holds) of a workdir, or of a file of published loss series.

    Raises UserError where there is neither result, study nor series.
    """
    folder = workdirs.resolve(path)
    if folder.suffix == '.json' and folder.exists():
        return 'study', folder.stem, _series(folder)
    for kind, name in (('run', 'result.json'), ('study', 'study.json')):
        if (folder / name).exists():
            return kind, folder.name, workdirs.read_json(folder / name)
    raise UserError(
        f'a report needs folders with result.json or study.json, found neither in {folder}.'
    )


def _series(path):
    """A published file {'train', 'val'}: runs x epochs, as a study; bounds are given as their negative there."""
    series = json.loads(path.read_text())
    model, dataset, *_ = path.stem.split('_')
    losses = np.abs(np.array(series['val'], np.float64))
    broken = ~np.isfinite(losses)
    return {
        'model': f'published {model}',
        'dataset': dataset,
        'quantity': 'as published',
        'seeds': [None] * len(losses),
        'epochs': losses.shape[1],
        'val': losses.tolist(),
        'diverged': [int(row.argmax()) + 1 if row.any() else None for row in broken],
        'metrics': study_results.metrics(losses),
    }


def markdown(items):
    """The tables of `read` items as Markdown."""
    runs = [item for item in items if item[0] == 'run']
    studies = [item for item in items if item[0] == 'study']
    parts = []
    if runs:
        parts.append(_table(RUN_COLUMNS, [_run_row(name, found) for _, name, found in runs]))
    if studies:
        parts.append(_table(STUDY_COLUMNS, [_study_row(name, found) for _, name, found in studies]))
        parts.extend(_rank_lines(studies))
    return '\n\n'.join(parts) + '\n'


def page(items):
    """One HTML page with the tables and the curves of `read` items; needs nothing else to be shown."""
    studies = [found for kind, _, found in items if kind == 'study']
    pictures = [study_pictures.curves(studies), study_pictures.bars(studies)] if studies else []
    images = ''.join(
        f'<img alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for png in pictures
    )
    body = '\n'.join(_html(block) for block in markdown(items).strip().split('\n\n'))
    style = 'body{font-family:sans-serif}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:4px}'
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><title>Report</title><style>{style}</style></head>'
        f'<body>{body}{images}</body></html>\n'
    )


def _table(columns, rows):
    lines = [columns, ['---'] * len(columns), *rows]
    return '\n'.join('| ' + ' | '.join(str(cell) for cell in line) + ' |' for line in lines)


def _html(block):
    """A Markdown table or paragraph as HTML."""
    if not block.startswith('|'):
        return f'<p>{html.escape(block)}</p>'
    lines = [line.strip('| ').split(' | ') for line in block.splitlines()]
    rows = ''.join(
        '<tr>' + ''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in line) + '</tr>'
        for tag, line in [('th', lines[0]), *(('td', line) for line in lines[2:])]
    )
    return f'<table>{rows}</table>'


def _number(value):
    """Three decimals; null in a file stands for what is not finite."""
    return 'inf' if value is None else f'{value:.3f}'


def _run_row(name, found):
    digits, config = decimals(found['nats_2se']), found['config']
    key = (config['model'], dataset_title(config))
    kind = 'exact' if found['exact'] else f'bound, {found["num_samples"]} samples'
    bits = f'{found["bits_per_dim"]:.3f}' if 'bits_per_dim' in found else ''
    nats = f'{found["nats"]:.{digits}f} +- {found["nats_2se"]:.{digits}f}'
    return (name, *key, nats, bits, kind, found['epochs'], *published.RUNS.get(key, ('', '')))


def _study_row(name, found):
    metrics, table = found['metrics'], found['metrics']['published']
    best = metrics['best']
    five = ', '.join(
        f'{table[key][0]:.2f} +- {table[key][1]:.2f}' for key in study_pictures.BARS if key in table
    )
    diverged = sum(epoch is not None for epoch in found['diverged'])
    test = ''
    if 'test_nats' in found:
        test = _number(float(np.nanmedian(np.array(found['test_nats'], np.float64))))
    return (
        name,
        found['model'],
        found['dataset'],
        len(found['seeds']),
        diverged,
        found['epochs'],
        f'{_number(best["median"])} ({_number(best["iqr"][0])} to {_number(best["iqr"][1])})',
        _number(metrics['last']['median']),
        five,
        test,
        found['quantity'],
        published.STUDIES.get((found['model'], found['dataset']), ('', ''))[0],
    )


def _rank_lines(studies):
    """A sentence on rank tests of the last loss for each dataset with two studies or more."""
    lines = []
    for dataset in sorted({found['dataset'] for _, _, found in studies}):
        groups = {
            f'{name} ({found["model"]})': np.nan_to_num(
                np.array(found['val'], np.float64)[:, -1], nan=np.inf
            )
            for _, name, found in studies
            if found['dataset'] == dataset
        }
        if len(groups) < 2:
            continue
        tests = study_statistics.rank_tests(groups)
        pairs = ', '.join(
            f'{a} against {b} {found["p"]:.2g}' for (a, b), found in tests['pairs'].items()
        )
        lines.append(
            f'{dataset}: last losses differ between studies with p = {tests["kruskal_wallis"]:.2g} (Kruskal-Wallis); '
            f'pairs (Mann-Whitney, Holm): {pairs}.'
        )
    return lines
