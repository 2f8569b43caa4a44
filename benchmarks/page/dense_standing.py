"""Dense flows beside other models of MNIST, from the records and the published figures."""

import operator

from benchmarks.page import dense, records
from benchmarks.page.records import figure
from train.reports.markdown import table


def standing(found):
    """Where dense flows stand on MNIST, by bits per dimension."""
    relative, exact = (f'mlp_flow, alpha 0.3{end}' for end in ('', ', ordinary gradient'))
    normalizing = 'self-normalizing flow, two dense layers'
    rows = [
        _by_others('MLP flow, relative gradient', 'mlp_flow, relative gradient', found),
        _by_others('MLP flow, slope 0.3, relative gradient', relative, found),
        _by_others('MLP flow, slope 0.3, ordinary gradient', exact, found),
        _by_others(normalizing, normalizing, found),
        _in_bits('UMNN-MAF', found),
        *(
            _here(label, f'runs/{run}', found)
            for label, run in (
                ('full-covariance Gaussian', 'gaussian_mnist'),
                ('MLP flow, two layers, fixed activations', 'mnist_fixed'),
                ('MLP flow, four layers, fixed activations', 'mnist_long_fixed'),
                ('MLP flow, two layers, learnt activations', 'mnist'),
                ('MLP flow, four layers, learnt activations', 'mnist_long'),
                (_glow(found), 'glow_mnist'),
            )
        ),
        *(
            _compared(model, found)
            for model in (
                'MADE, mixture of Gaussians',
                'MAF, mixture of Gaussians, 5 layers',
                'Real NVP, 5 layers',
            )
        ),
    ]
    ordered = sorted(rows, key=operator.itemgetter(1))
    rows = [(name, f'{bits:.3f}', *rest) for name, bits, *rest in ordered]
    header = ('model', 'bits per dimension', 'test, nats as given', 'by', 'budget')
    return table(header, rows)


def _glow(found):
    of_glow = found['runs/glow_mnist']['config']['glow']
    return f'Glow, {of_glow["scales"]} scales of {of_glow["steps"]} steps'


def _by_others(label, model, found):
    entry = dense.published(found, model)
    value = float(entry['published'].partition(' ')[0])
    convert = dense.bits_of_logits if entry['space'] == 'logits' else dense.bits_of_grey_levels
    text = f'{entry["published"]} ({entry["space"]})'
    return label, convert(value), text, entry['source'], 'not known'


def _in_bits(model, found):
    bits = float(dense.comparator(found, model, dense.IN_BITS))
    return model, bits, 'bits alone', dense.section(found, dense.IN_BITS)['source'], 'not known'


def _here(label, name, found):
    record = found[name]
    nats = f'{figure(record["nats"], record["nats_2se"])} (logits)'
    return label, record['bits_per_dim'], nats, f'`{name}`', records.budget(record)


def _compared(model, found):
    text = dense.comparator(found, model, dense.IN_NATS)
    bits = dense.bits_of_logits(float(text.partition(' ')[0]))
    source = 'Papamakarios et al. 2017, arXiv:1705.07057'
    return model, bits, f'{text} (logits)', source, 'not known'
