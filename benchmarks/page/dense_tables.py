"""The tables of `docs/relative_gradient_revisited.md`: name of a block -> Markdown."""

import math
import re

from benchmarks.page import dense, dense_standing, explorations, records
from benchmarks.page.records import figure
from benchmarks.tools.figures import number
from train.reports import commands
from train.reports.markdown import table

LOST = -10_000  # nats on validation below which a run is lost though its numbers are finite


def ladder(found):
    """A row a part, with what it gives over the row above."""
    rows, before = [], None
    for label, steps, nats, record in dense.ladder(found):
        gain = '' if before is None else f'{nats - before:+.1f}'
        rows.append((label, f'{steps:,}', f'{nats:.1f}', gain, f'`{record}`'))
        before = nats
    return table(('what is new', 'steps', 'validation, nats', 'gain', 'record'), rows)


def left_out(found):
    """Runs with what the published update leaves out and without it."""
    repeated, corrected = found[dense.REPEATED], found['runs/mnist_published']['config']
    same = (corrected['batch_size'], corrected['lr'])
    epochs = len(repeated['validation'])
    here = figure(repeated['test_nats'], repeated['test_nats_2se'])
    published = dense.published(found, 'mlp_flow, relative gradient')['published']
    omitted = 'the term -b; Adam counts epochs; noise drawn once'
    rows = [
        ('published', omitted, *same, 'not known', '', published, ''),
        (
            *('published, repeated', omitted, *same, f'{epochs} epochs'),
            *(f'{max(repeated["validation"]):.1f}', here, f'`{dense.REPEATED}`'),
        ),
        ('corrected', 'nothing', *_run(found, 'runs/mnist_published')),
        ('larger batch', 'nothing', *_run(found, 'runs/mnist_relative')),
        ('full-covariance Gaussian', '', '', '', '', *_scores(found, 'runs/gaussian_mnist')),
    ]
    header = (
        *('training', 'left out', 'batch', 'rate', 'budget'),
        *('validation, nats', 'test, nats', 'record'),
    )
    linear = found[dense.LEFT_OUT]
    about = (
        f'An Adam that counts epochs moves by {dense.adam_share(1):.2f} of its rate in epoch 1 and by '
        f'{dense.adam_share(epochs):.2f} in epoch {epochs}. For one affine layer on the training rows of MNIST '
        f'(`{linear["command"]}`) a^2 is {linear["mahalanobis"]:,.0f}, and the fixed point without -b is '
        f'{linear["excess_nats"]:.2f} nats below the optimum. The covariance of those rows has eigenvalues from '
        f'{linear["smallest_eigenvalue"]:.2g} to {linear["largest_eigenvalue"]:,.0f}.'
    )
    return f'{table(header, rows)}\n\n{about}'


def _run(found, name):
    record = found[name]
    config = record['config']
    return config['batch_size'], config['lr'], records.budget(record), *_scores(found, name)


def _scores(found, name):
    """Validation, test and name of a run."""
    record = found[name]
    test = figure(record['nats'], record['nats_2se'])
    return f'{-record["validation_loss"]:.1f}', test, f'`{name}`'


def ways(found):
    """A row a way to the gradient: from both starts after few steps, from the better one after many."""

    def cell(name):
        each = dense.candidate(found, name)
        broke = dense.broke_at(each)
        return f'breaks at step {broke}' if broke else explorations.validation(each)

    half = cell('long, sgd at half the rate')
    rows = [
        ('none: one whitened layer, a Gaussian', '', cell('gaussian'), ''),
        *(
            (label, cell(f'orthogonal, {name}'), cell(name), cell(f'long, {name}'))
            for label, name in (
                ('relative, Adam 1e-3', 'adam'),
                ('relative, SGD with momentum 1e-3', 'sgd'),
                ('equivariant 1e-3', 'equivariant'),
            )
        ),
        ('relative, SGD with momentum 5e-4', '', '', half),
        ('amortised, Adam 1e-3', 'not run', cell('amortised'), cell('long, amortised')),
    ]
    few, many = dense.steps(found, 'adam'), found['runs/mnist_fixed']['step']
    header = (
        *('way to the gradient', f'orthogonal start, {few:,} steps'),
        *(f'whitening start, {few:,} steps', f'whitening start, {many:,} steps'),
    )
    start = dense.nats(found, 'adam') - dense.nats(found, 'orthogonal, adam')
    over = {
        name: dense.nats(found, 'long, equivariant') - dense.nats(found, f'long, {name}')
        for name in ('adam', 'amortised')
    }
    about = (
        f'Whitening gives Adam on the relative gradient {start:.1f} nats. After {many:,} steps the equivariant update '
        f'is {over["adam"]:.1f} nats above it, and {over["amortised"]:.1f} above Adam on the amortised gradient.'
    )
    return f'{table(header, rows)}\n\n{about}'


def together(found):
    """The activation between the layers and the way to the gradient, by turns."""

    def row(label, names):
        amortised, equivariant = (dense.nats(found, name) for name in names)
        return label, f'{amortised:.1f}', f'{equivariant:.1f}', f'{equivariant - amortised:+.1f}'

    fixed, learnt = ('amortised', 'equivariant'), ('learnt, amortised', 'learnt, equivariant')
    gains = (
        f'{dense.nats(found, b) - dense.nats(found, a):+.1f}'
        for a, b in zip(fixed, learnt, strict=True)
    )
    rows = [
        row('fixed, slope 0.2', fixed),
        row('learnt, 8 bins', learnt),
        ('gain', *gains, ''),
    ]
    header = ('activation between the layers', 'amortised, Adam', 'equivariant', 'gain')
    return table(header, rows)


def rates(found):
    """Rates of the equivariant update with learnt activations, and what its record says of them."""
    record = found[dense.RATES]
    rows = [(f'{each["settings"]["lr"]:g}', _or_broken(each)) for each in record['candidates']]
    return f'{table(("rate", "validation, nats"), rows)}\n\n{record["about"]}'


def batches(found):
    """Batches and momenta of the equivariant update with learnt activations, and what their record says of them."""
    record = found[dense.BATCHES]
    rows = [_of_batch(each) for each in record['candidates']]
    header = ('batch', 'momentum', 'rate', 'validation, nats')
    return f'{table(header, rows)}\n\n{record["about"]}'


def noise(found):
    """What steps of two batch sizes do to the last matrix."""
    sides = found[dense.NOISE]['batches']
    header = ['step']
    for size in sides:
        header += [f'norm of a step, batch {size}', f'smallest singular value of W, batch {size}']
    steps = next(iter(sides.values()))
    rows = [
        [step, *(text for each in sides.values() for text in _of_step(each[step]))]
        for step in steps
        if int(step) % 40 == 0
    ]
    return table(header, rows)


def _of_step(found):
    return f'{found["relative_step"]:.2f}', f'{found["smallest_singular"]:.2g}'


def _of_batch(candidate):
    settings = candidate['settings']
    batch, momentum = settings.get('batch_size', 128), settings.get('b1', 0.9)
    return batch, momentum, f'{settings["lr"]:g}', _or_broken(candidate)


def _or_broken(candidate):
    broke = dense.broke_at(candidate)
    return f'breaks at step {broke}' if broke else explorations.validation(candidate)


def breaks(found):
    """Every recorded run of the equivariant update that did not end well."""
    rows, of_config = [], (dense.RATES, dense.BATCHES)
    for name, record in found.items():
        if not name.startswith('exploration/'):
            continue
        for each in record['candidates']:
            way = each['settings'].get('gradient', 'equivariant' if name in of_config else '')
            if way == 'equivariant' and (each['validation_nats'] or -math.inf) < LOST:
                nats = explorations.validation(each)
                rows.append((record['title'], each['name'], nats, f'`{name}`'))
    return table(('exploration', 'candidate', 'validation, nats', 'record'), rows)


def tested(found):
    """Test figures with fixed and with learnt activations."""
    rows = [
        (data, label, *_tested(found, f'runs/{run}'))
        for data, label, run in (
            ('MNIST', 'two layers, fixed, slope 0.2', 'mnist_fixed'),
            ('MNIST', 'two layers, learnt between them, 8 bins', 'mnist_inner'),
            ('MNIST', 'two layers, learnt, at both ends too, 16 bins', 'mnist'),
            ('MNIST', 'the same, started as what makes their rows normal', 'mnist_gaussianised'),
            ('MNIST', 'four layers, learnt, at both ends too, 16 bins', 'mnist_long'),
            ('POWER', '128 layers, fixed, slope 0.5', 'power_fixed'),
            ('POWER', 'forty layers, learnt, at both ends too, 16 bins', 'power'),
        )
    ]
    header = ('data', 'layers and activations', 'test, nats', 'budget', 'record')
    return table(header, rows)


def _tested(found, name):
    record = found[name]
    return records.likelihood(record, 'nats'), records.budget(record), f'`{name}`'


def learnt(record):
    """All candidates of an exploration of learnt activations."""
    rows = [
        (each['name'], f'{each["settings"]["schedule_steps"]:,}', explorations.validation(each))
        for each in record['candidates']
    ]
    return table(('candidate', 'steps', 'validation, nats'), rows)


def cost(found):
    """Milliseconds of one gradient against D."""
    record = found[dense.COST]
    names = ('relative', 'amortised, average', 'slogdet autodiff', 'explicit inverse')
    rows = []
    for size, sides in record['seconds'].items():
        times = [sides[name]['median'] for name in names]
        ratio = sides['slogdet autodiff']['median'] / sides['relative']['median']
        rows.append((f'{int(size):,}', *(number(time * 1e3) for time in times), f'{ratio:.1f}'))
    rows.append(('exponent', *(f'{record["exponents"][name]:.2f}' for name in names), ''))
    header = ('D', *(f'{name}, ms' for name in names), 'autodiff / relative')
    return table(header, rows)


def sources(found, names):
    """A row for each record that a page names: the command that gives it."""
    rows = []
    for name in names:
        record = found[name]
        if name.startswith('runs/'):
            command = commands.command(record)
        elif name.startswith('exploration/'):
            command = re.search(r'`(.+?)`', record['about'])[1] + ' ...'
        else:
            command = record['command']
        commit = (record.get('commit') or '')[:7]
        rows.append((f'`{name}`', f'`{command}`', commit))
    return table(('record', 'command', 'commit'), rows)


def blocks(found):
    """Every block of the page."""
    made = {
        'ladder': ladder(found),
        'left out': left_out(found),
        'ways': ways(found),
        'together': together(found),
        'rates': rates(found),
        'batches': batches(found),
        'noise': noise(found),
        'breaks': breaks(found),
        'tested': tested(found),
        'depths': learnt(found['exploration/mnist_learnt_activations']),
        'power': learnt(found['exploration/power_learnt_activations']),
        'cost': cost(found),
        'standing': dense_standing.standing(found),
    }
    named = re.findall(r'`((?:runs|exploration|benchmarks)/\w+)`', '\n'.join(made.values()))
    used = {f'exploration/{file}' for file, _ in dense.CANDIDATES.values()} | {
        *(dense.COST, dense.RATES, dense.BATCHES, dense.NOISE, dense.LEFT_OUT),
        *named,
    }
    return made | {'records': sources(found, sorted(used))}
