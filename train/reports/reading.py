"""What a report is made from: folders of runs and studies, records of them, published loss series."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from train.config import completed
from train.errors import UserError
from train.reports import tables
from train.runtime import buckets, kinds
from train.runtime import workdir as workdirs
from train.runtime.writers import read_lines
from train.studies import summary

FIELDS = {
    'run': ('config', 'epochs', 'exact', 'nats', 'nats_2se', 'split'),
    'series': ('train', 'val'),
    'study': ('dataset', 'epochs', 'quantity', 'seeds', 'validation_quantity'),
}
OURS = {'vae': 'study_vae'}  # what we call a model whose published name differs
REDRAWN = {'learning_curve', 'curves', 'metrics'}  # pictures of a folder that a report draws itself


@dataclasses.dataclass(frozen=True)
class Beside:
    """What lies beside a result.

    lines: of metrics.jsonl, an epoch each; damaged: how many more of them cannot be read. pictures: name -> PNG file.
    parameters: how many the model has, None where nobody counted them.
    """

    lines: tuple[dict[str, Any], ...] = ()
    damaged: int = 0
    pictures: Mapping[str, epath.Path] = dataclasses.field(default_factory=dict)
    parameters: int | None = None


class Item(NamedTuple):
    """kind: 'run', 'study', or 'unfinished' of one without a result. record: what its file holds."""

    kind: str
    name: str
    record: dict[str, Any]
    beside: Beside = Beside()


def read(path: epath.PathLike) -> Item:
    """The item in a workdir, in a record of one (its `result.json` or `study.json`), or in published loss series.

    Raises UserError where there is none of these.
    """
    place = workdirs.resolve(path)
    buckets.require_libraries(place)
    if place.name in kinds.RESULTS.values():
        place = place.parent
    if place.suffix == '.json' and place.exists():
        return _record(place)
    if (place / kinds.RESULTS['run']).exists():
        return _run(place / kinds.RESULTS['run'], place.name, _beside(place))
    if (place / kinds.RESULTS['study']).exists():
        study = _study(place / kinds.RESULTS['study'])
        return Item('study', place.name, study, _beside(place))
    if (place / 'config.json').exists() and (place / 'metrics.jsonl').exists():
        return _unfinished(place)
    raise UserError(
        f'a report needs folders with result.json or study.json, or of a run under way, found neither in {place}.'
    )


def _record(path: epath.Path) -> Item:
    """A copy of a result, which has its metrics beside it under its own name, of a study, or published series."""
    record = workdirs.read_json(path)
    if 'nats' not in record:
        return Item('study', path.stem, _study(path))
    lines, damaged = _lines(path.with_suffix('.jsonl'))
    return _run(path, path.stem, Beside(lines, damaged))


def _run(path: epath.Path, name: str, beside: Beside) -> Item:
    record = workdirs.read_json(path, FIELDS['run'])
    return Item('run', name, _complete(record, path), beside)


def _unfinished(folder: epath.Path) -> Item:
    """A run or study that goes on, or was stopped: its config and the epochs it has so far."""
    path, beside = folder / 'config.json', _beside(folder)
    epochs = max((line['epoch'] for line in beside.lines), default=0)
    record = _complete({'config': workdirs.read_json(path), 'epochs': epochs}, path)
    record['num_samples'] = record['config']['num_samples']
    if kinds.kind(folder) == 'study':
        record['seeds'] = []
    return Item('unfinished', folder.name, record, beside)


def _beside(folder: epath.Path) -> Beside:
    lines, damaged = _lines(folder / 'metrics.jsonl')
    files = {path.name.removesuffix('.png'): path for path in sorted(folder.glob('*.png'))}
    pictures = {
        name: path
        for name, path in files.items()
        # What a run shows at its end stands for the same picture from its course.
        if name not in REDRAWN and f'final_{name}' not in files
    }
    return Beside(lines, damaged, pictures, _parameters(folder / 'parameters.txt'))


def _lines(path: epath.Path) -> tuple[tuple[dict[str, Any], ...], int]:
    """The epochs of a file of metrics in order, and the number of lines that hold none."""
    lines = read_lines(path) if path.exists() else []
    whole = [line for line in lines if line is not None and _is_epoch(line)]
    return tuple(whole), len(lines) - len(whole)


def _is_epoch(line: Mapping[str, Any]) -> bool:
    numbers = all(isinstance(value, int | float | None) for value in line.values())
    return numbers and isinstance(line.get('epoch'), int)


def _parameters(path: epath.Path) -> int | None:
    found = re.search(r'^Total: ([\d,]+)', path.read_text(), re.M) if path.exists() else None
    return int(found[1].replace(',', '')) if found else None


def _complete(record: dict[str, Any], path: epath.Path) -> dict[str, Any]:
    """A record whose config has the fields that are younger than it, too; published series have none."""
    if 'config' not in record:
        return record
    return record | {'config': completed(record['config'], path).to_dict()}


def _study(path: epath.Path) -> dict[str, Any]:
    """A study with its metrics computed from the curves, whoever wrote the file."""
    study = _complete(workdirs.read_json(path, FIELDS['series']), path)
    _check_shapes(study, path)
    if 'model' in study:
        workdirs.require(study, FIELDS['study'], path)
    else:
        study = _series(study, path)
    metrics = summary.metrics(*(tables.losses(study, key) for key in ('val', 'train')))
    return {**study, 'metrics': metrics}


def _check_shapes(study: dict[str, Any], path: epath.Path) -> None:
    """Refuse what does not hold two series of equal shape (seeds, epochs)."""
    shapes = [_shape(study[name]) for name in ('train', 'val')]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or 0 in shapes[0]:
        raise UserError(
            f'the loss series train and val must be tables of seeds x epochs, both of one shape; '
            f'found {shapes[0]} and {shapes[1]} in {path}.'
        )


def _shape(values: Any) -> tuple[int, ...]:
    """The shape of a table of numbers, () for anything else."""
    try:
        return np.array(values, np.float64).shape
    except (TypeError, ValueError):
        return ()


def _series(series: dict[str, Any], path: epath.Path) -> dict[str, Any]:
    """Published series {'train', 'val'}, runs x epochs, as a study.

    They hold the flow's negative log-likelihood, and the other models' bound, which is the negative of a loss.
    """
    model, _, rest = path.stem.partition('_')
    dataset = rest.partition('_')[0]
    if not dataset:
        raise UserError(
            f'a file of loss series is named MODEL_DATASET_SEEDS.json, found {path.name}; rename it.'
        )
    sign = 1 if model == 'flow' else -1
    losses = {name: sign * np.array(series[name], np.float64) for name in ('train', 'val')}
    return {
        'model': f'published {model}',
        'beside': OURS.get(model, model),
        'dataset': dataset,
        'quantity': '',
        'validation_quantity': 'as published',
        'seeds': [None] * len(losses['val']),
        'epochs': losses['val'].shape[1],
        **{name: values.tolist() for name, values in losses.items()},
    }
