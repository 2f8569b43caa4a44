"""What the records say of the MLP flow with dense layers: the values that a page's tables and pictures share."""

import json
import math
import re

from benchmarks.page import curves, explorations, records

D = 784
# The mean over MNIST's test split of sum_d log(d logit / dx_d), nats for x in [0, 1], by quadrature over grey levels.
LOGIT_VOLUME = 4619.950
REPEATED = 'benchmarks/published_training'
COST = 'benchmarks/relative_gradient'
LEFT_OUT = 'benchmarks/left_out'
RATES = 'exploration/mnist_equivariant_rates'
BATCHES = 'exploration/mnist_equivariant_batch'
NOISE = 'benchmarks/batch_noise'
# Sections of published figures of other models.
IN_NATS = 'Relative gradient: other models on the same data'
IN_BITS = 'Images in bits per dimension'
# Short name -> file of explorations and candidate. Two layers on MNIST, by 3,900 steps where a name says nothing else.
CANDIDATES = {
    'gaussian': ('mnist_parts', 'one whitened layer, a Gaussian, 3,900 steps'),
    'orthogonal, adam': ('mnist_parts', 'orthogonal, relative, Adam 1e-3, 3,900 steps'),
    'orthogonal, equivariant': (
        'mnist_parts',
        'orthogonal, equivariant 1e-3, broke at step 379 of 3,900',
    ),
    'orthogonal, sgd': (
        'mnist_parts',
        'orthogonal, relative, SGD with momentum 1e-3, broke at step 23 of 3,900',
    ),
    'adam': ('mnist_gradients', 'relative, Adam 1e-3'),
    'equivariant': ('mnist_gradients', 'equivariant 1e-3'),
    'sgd': ('mnist_gradients', 'relative, SGD with momentum 1e-3'),
    'amortised': ('mnist_gradients', 'amortised, Adam 1e-3'),
    'long, adam': ('mnist_parts', 'whitening, relative, Adam 1e-3'),
    'long, equivariant': ('mnist_parts', 'whitening, equivariant 1e-3'),
    'long, sgd': (
        'mnist_parts',
        'whitening, relative, SGD with momentum 1e-3, broke at step 3,117',
    ),
    'long, sgd at half the rate': (
        'mnist_parts',
        'whitening, relative, SGD with momentum 5e-4, broke at step 10,628',
    ),
    'long, amortised': ('mnist_parts', 'whitening, amortised, Adam 1e-3'),
    'learnt, equivariant': (
        'mnist_learnt_activations',
        'two layers, 8 bins, equivariant 1e-3, splines by Adam 3e-3',
    ),
    'learnt, amortised': (
        'mnist_learnt_activations',
        'two layers, 8 bins, amortised, Adam 1e-3, splines 3e-3',
    ),
    'ends': ('mnist_learnt_activations', 'two layers, both ends, 16 bins'),
}
LADDER = {
    'orthogonal start, relative gradient, Adam': 'orthogonal, adam',
    'whitening start': 'adam',
    'equivariant update': 'equivariant',
    'learnt activation between the layers': 'learnt, equivariant',
    'learnt activations at both ends too': 'ends',
}
LONGER = 'the same for longer, at twice the rate'


def read(folder):
    """Name such as `runs/mnist` -> what the file holds, for a `results/` folder; `published` and `curves` beside."""
    kinds = ('runs', 'exploration', 'benchmarks')
    found = {name: each for kind in kinds for name, each in records.read(folder, kind).items()}
    sections = json.loads((folder / 'published.json').read_text())['sections']
    return found | {'published': sections, 'curves': curves.read(folder)}


def candidate(found, name):
    """What the explorations have under a short name."""
    file, of_file = CANDIDATES[name]
    return explorations.named(found[f'exploration/{file}'], of_file)


def nats(found, name):
    """The validation log-likelihood of a candidate."""
    return candidate(found, name)['validation_nats']


def steps(found, name):
    """For how many steps a candidate was trained: its own setting, or that of all candidates of its file."""
    of_all = re.search(
        r'schedule_steps=(\d+)', found[f'exploration/{CANDIDATES[name][0]}']['about']
    )
    settings = candidate(found, name)['settings']
    return settings['schedule_steps'] if 'schedule_steps' in settings else int(of_all[1])


def broke_at(candidate):
    """The step at which a candidate's gradient was no longer finite, as text, or None."""
    broke = re.search(r'broke at step ([\d,]+)', candidate['name'])
    return broke[1] if broke else None


def ladder(found):
    """(what is new, steps, nats on validation, record), each row with all that the rows above it have."""
    rows = [
        (label, steps(found, name), nats(found, name), f'exploration/{CANDIDATES[name][0]}')
        for label, name in LADDER.items()
    ]
    last = found['runs/mnist']
    return [*rows, (LONGER, last['step'], -last['validation_loss'], 'runs/mnist')]


def rates_of_fixed(found):
    """Way to the gradient -> (rate, candidate) by rate, from a whitening start with fixed activations."""
    ways = {'relative, Adam': 'adam', 'equivariant': 'equivariant', 'relative, momentum': 'sgd'}
    of_optimizer = {optimizer: way for way, optimizer in ways.items()}
    chosen = {way: [] for way in ways}
    for each in found['exploration/mnist_gradients']['candidates']:
        settings = each['settings']
        if settings['gradient'] in ('relative', 'equivariant'):
            chosen[of_optimizer[settings['optimizer']]].append((settings['lr'], each))
    return {way: sorted(rates, key=lambda rate: rate[0]) for way, rates in chosen.items()}


def published(found, model, data='MNIST'):
    """The entry of `published.json` for a flow trained by the relative gradient, or in its place."""
    rows = found['published'][0]['rows']
    return next(row for row in rows if (row['data'], row['model']) == (data, model))


def section(found, title):
    """The section of `published.json` with a title."""
    return next(each for each in found['published'] if each['title'] == title)


def comparator(found, model, title):
    """The published figure of another model on MNIST in a section, as text."""
    of_title = section(found, title)
    column = of_title['columns'].index('MNIST')
    return next(row[column] for row in of_title['rows'] if row[0] == model)


def bits_of_logits(nats):
    """Bits per dimension of MNIST from nats in its logit space."""
    return 8 - (LOGIT_VOLUME + nats) / (D * math.log(2))


def bits_of_grey_levels(nats):
    """Bits per dimension of MNIST from nats for pixels between 0 and 256."""
    return -nats / (D * math.log(2))


def adam_share(epoch, b1=0.9, b2=0.999):
    """By which share of its rate Adam moves in an epoch that it takes for its step, once the moments have settled."""
    return math.sqrt(1 - b2 ** (epoch + 1)) / (1 - b1 ** (epoch + 1))
