"""What records of compilations ahead of time say of more chips, of wide data and of a divided optimiser's state."""

import math
import re

from train.ahead.page import BUSY, duration, exchanges, size
from train.ahead.scaling import on_slice
from train.reports.markdown import table

MAIN = 'v5e:2x4'
SLICES = {1: 'v5e:1x1', 8: MAIN, 64: 'v5e:8x8', 256: 'v5e:16x16'}
BATCH = 1024
WIDE = 'array'  # the dataset of records that are of a width and of no data


def config_of(record):
    """The name of its config file."""
    return re.search(r'--config=configs/(\w+)\.py', record['command'])[1]


def is_main(record):
    """Whether it is of the slice that the tables of all configs are of."""
    return record['topology'] == MAIN


def _training(record):
    return record['programs']['training']


def mains(found):
    """Name without its folder -> record, of those that every table of configs has."""
    return {name.partition('/')[2]: each for name, each in found.items() if is_main(each)}


def same_rows_a_chip(found):
    """A row a config: the least time of a step on more chips, and from which batch on links are not the longest."""
    header = (
        *('config', 'rows of a chip', '1 chip', *(f'{n} chips' for n in SLICES if n > 1)),
        'matrix unit as long as links',
    )
    rows = []
    for name, record in mains(found).items():
        if record.get('shard_optimizer'):  # of which a chip has less work, the more there are
            continue
        times = {count: on_slice(record, slice_) for count, slice_ in SLICES.items()}
        alone, many = times[1].seconds, times[64]
        needed = _training(record)['rows'] * many.network / many.products
        rows.append(
            (
                f'`{name}`',
                _training(record)['rows'],
                *(f'{duration(t.seconds)}, {alone / t.seconds:.0%}' for t in times.values()),
                f'from {math.ceil(needed):,} rows',
            )
        )
    return table(header, rows)


def predicted(found):
    """A row for each record of another slice with as many rows a chip: what was predicted and what was compiled."""
    header = ('config', 'slice', *(f'{name}: predicted, compiled' for name in BUSY.values()))
    rows = []
    for record in found.values():
        main = found.get(f'ahead/{config_of(record)}')
        if is_main(record) or record['dataset'] == WIDE or main is None:
            continue
        if _training(record)['rows'] != _training(main)['rows']:
            continue
        expected, compiled = on_slice(main, record['topology']), _training(record)['roofline']
        rows.append(
            (
                f'`{config_of(record)}`',
                record['topology'],
                *(f'{duration(getattr(expected, key))}, {duration(compiled[key])}' for key in BUSY),
            )
        )
    return table(header, rows)


def bound_of_same_batch(found):
    """A row a config: what matrix unit and links alone take of a step of `BATCH` rows in all, slice by slice."""
    header = ('config', '1 chip', *(f'{n} chips' for n in SLICES if n > 1), 'links busier from')
    rows = []
    for name, record in mains(found).items():
        if record['batch_size'] != BATCH or record.get('shard_optimizer'):
            continue
        work = _training(record)['roofline']['products'] * record['device_count']
        products = {n: work / n for n in SLICES}
        network = {n: on_slice(record, slice_).network for n, slice_ in SLICES.items()}
        busier = [f'{n} chips on' for n in SLICES if network[n] > products[n]]
        rows.append(
            (
                f'`{name}`',
                *(duration(max(products[n], network[n])) for n in SLICES),
                busier[0] if busier else f'more than {max(SLICES)} chips on',
            )
        )
    return table(header, rows)


def same_batch(found):
    """A row a slice for the configs of which several were compiled with `BATCH` rows, and the sentence below."""
    header = (
        *('config', 'slice', 'chips', 'rows of a chip', *BUSY.values()),
        *('least time of a step', 'against one chip', 'efficiency'),
    )
    rows, sentences = [], []
    for config, records in _of_one_batch(found).items():
        alone = _training(records[0])['roofline']['seconds']
        for record in records:
            times, count = _training(record)['roofline'], record['device_count']
            gain = alone / times['seconds']
            rows.append(
                (
                    *(f'`{config}`', record['topology'], count, f'{_training(record)["rows"]:,}'),
                    *(duration(times[key]) for key in BUSY),
                    *(duration(times['seconds']), f'{gain:.3g} x', f'{gain / count:.1%}'),
                )
            )
        best = min(records, key=lambda each: _training(each)['roofline']['seconds'])
        sentences.append(
            f'The shortest of these steps of `{config}` is that of {best["device_count"]} chips, '
            f'{duration(_training(best)["roofline"]["seconds"])}; there the {_busiest(best)} is the busiest.'
        )
    return [table(header, rows), ' '.join(sentences)]


def _of_one_batch(found):
    """Config -> its records of BATCH rows, from one chip on, where there is one of one chip."""
    by_config = {}
    for record in found.values():
        if record['batch_size'] == BATCH and record['dataset'] != WIDE:
            by_config.setdefault(config_of(record), []).append(record)
    ordered = {
        config: sorted(records, key=lambda each: each['device_count'])
        for config, records in by_config.items()
    }
    return {c: records for c, records in ordered.items() if records[0]['device_count'] == 1}


def _busiest(record):
    return BUSY[_training(record)['roofline']['bound_by']]


def one_chip(found):
    """A row for each record of a width on one chip: how much of its memory a step takes, and how long at least."""
    header = (
        *('record', 'D', 'rows a step', 'memory of the chip', 'of which temporaries', 'products'),
        *('LU of blocks', 'least time of a step', 'busiest', 'compiled in'),
    )
    rows = []
    for name, record in of_one_chip(found).items():
        program = _training(record)
        memory, times = program['memory'], program['roofline']
        rows.append(
            (
                f'`{name}`',
                f'{record["D"]:,}',
                record['batch_size'],
                f'{size(memory["total"])}, {memory["share"]:.1%}',
                size(memory['temporaries']),
                size(program['flops'], 'FLOP'),
                program['custom_calls'].get('LuDecompositionBlock', 0),
                duration(times['seconds']),
                _busiest(record),
                f'{program["compile_seconds"]:.0f} s',
            )
        )
    return table(header, rows)


def of_one_chip(found):
    """Name without its folder -> record, of those of a width on one chip, by gradient and D."""
    chosen = {
        name.partition('/')[2]: each
        for name, each in found.items()
        if each['dataset'] == WIDE and each['device_count'] == 1
    }
    return dict(sorted(chosen.items(), key=lambda item: (item[0].split('_')[0], item[1]['D'])))


def largest(found):
    """What the widest record of the relative gradient on one chip says of the memory that other widths take."""
    records = {
        name: each for name, each in of_one_chip(found).items() if name.startswith('relative')
    }
    widest = max(records.values(), key=lambda each: each['D'])
    D, memory = widest['D'], _training(widest)['memory']
    each = memory['total'] / D**2
    limit = math.isqrt(int(memory['total'] / memory['share'] / each))
    return (
        f'By the relative gradient D = {D:,} was compiled for one chip and fits it. A step holds {each:.1f} bytes for '
        'each of the D^2 numbers of a matrix: two layers, of each parameters, two moments and the gradient in float32. '
        f'At that the memory of a chip ends at D = {limit:,}.'
    )


def divided(found):
    """A row for each record with a divided optimiser's state, and one for the same without."""
    header = (
        *('record', "optimiser's state", 'memory of a chip', 'arguments', 'temporaries'),
        *('exchanges of a step', 'network', 'least time of a step'),
    )
    rows = []
    for name, record in mains(found).items():
        if not record.get('shard_optimizer'):
            continue
        whole = name.removesuffix('_sharded')
        for label, each in ((whole, found[f'ahead/{whole}']), (name, record)):
            program = _training(each)
            memory, times = program['memory'], program['roofline']
            rows.append(
                (
                    f'`{label}`',
                    'a part' if each.get('shard_optimizer') else 'whole',
                    f'{size(memory["total"])}, {memory["share"]:.1%}',
                    size(memory['arguments']),
                    size(memory['temporaries']),
                    exchanges(program['collectives']),
                    duration(times['network']),
                    duration(times['seconds']),
                )
            )
    return table(header, rows)
