"""The pictures of `docs/relative_gradient_revisited.md` as SVG: the same records give the same bytes.

Text stays text, in the font of whoever reads, and nothing is placed by its width.
"""

import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from benchmarks.page import dense

# Okabe and Ito's colours, which the colour-blind tell apart.
BLACK, ORANGE, SKY, GREEN = '#000000', '#e69f00', '#56b4e9', '#009e73'
BLUE, VERMILION, PURPLE, GREY = '#0072b2', '#d55e00', '#cc79a7', '#767676'
STYLE = {
    'svg.fonttype': 'none',
    'svg.hashsalt': 'likelihood-zoo',
    'font.size': 9,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.alpha': 0.3,
    'legend.frameon': False,
}
WIDTH = 7.2  # inches of 72 points, about 690 pixels


def _canvas(height, columns=1, **margins):
    """A figure and its axes."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots(1, columns, squeeze=False)[0]
    figure.subplots_adjust(**margins)
    return figure, axes


def _svg(figure):
    """A figure as the text of an SVG, without the time and the program."""
    buffer = io.StringIO()
    figure.savefig(buffer, format='svg', metadata={'Date': None, 'Creator': None})
    return '\n'.join(line.rstrip() for line in buffer.getvalue().splitlines()) + '\n'


def _beside(axes, text, point, offset, **looks):
    """A text so many points to the right of a point, and above it."""
    axes.annotate(text, point, xytext=offset, textcoords='offset points', va='center', **looks)


def learning(found):
    """Validation on MNIST against epochs."""
    figure, (axes,) = _canvas(4.4, left=0.12, right=0.98, top=0.98, bottom=0.31)
    repeated = found[dense.REPEATED]['validation']
    axes.plot(
        range(1, len(repeated) + 1),
        repeated,
        's-',
        color=GREY,
        markersize=3,
        label='published update, repeated',
    )
    ours = (
        ('runs/mnist_published', 'the same, corrected', BLACK, ':'),
        ('runs/mnist_fixed', 'whitening, equivariant, fixed activation', BLUE, '--'),
        ('runs/mnist_inner', 'learnt activation between the layers', ORANGE, '-'),
        ('runs/mnist', 'learnt activations at both ends too', VERMILION, '-'),
    )
    for name, label, colour, dashes in ours:
        lines = [line for line in found['curves'][name] if 'validation_nll' in line]
        epochs, nats = (
            [line['epoch'] for line in lines],
            [-line['validation_nll'] for line in lines],
        )
        axes.plot(epochs, nats, dashes, color=colour, label=label)
    last = found['runs/mnist_relative']
    axes.plot(
        last['epochs'],
        -last['validation_loss'],
        'D',
        color=PURPLE,
        markersize=5,
        label='corrected, larger batch (its end)',
    )
    gaussian = -found['runs/gaussian_mnist']['validation_loss']
    axes.axhline(gaussian, color=GREEN, linewidth=0.8, label='full-covariance Gaussian')
    axes.set(xscale='log', xlabel='epochs of 50,000 images', ylabel='validation, nats')
    axes.set_xticks(
        [1, 2, 5, 10, 20, 50, 100, 200], labels=['1', '2', '5', '10', '20', '50', '100', '200']
    )
    axes.minorticks_off()
    figure.legend(loc='lower left', bbox_to_anchor=(0.06, 0.0), ncols=2)
    return _svg(figure)


def ladder(found):
    """What each part gives over all before it, on validation."""
    figure, (axes,) = _canvas(3.2, left=0.41, right=0.98, top=0.98, bottom=0.16)
    rows = dense.ladder(found)
    for place, (_, _, nats, _) in enumerate(rows):
        before = rows[place - 1][2] if place else nats
        if place:
            axes.barh(place, nats - before, left=before, color=BLUE, height=0.6)
        axes.plot(
            [nats, nats],
            [place - 0.3, min(place + 1.3, len(rows) - 0.7)],
            color=BLACK,
            linewidth=0.8,
        )
        text = f'{nats - before:+.1f}' if place else f'{nats:.1f}'
        _beside(axes, text, (nats, place), (4, 0))
    axes.set_yticks(
        range(len(rows)), labels=[f'{label}\n{steps:,} steps' for label, steps, *_ in rows]
    )
    axes.invert_yaxis()
    axes.set(xlabel='validation, nats', xlim=(-1400, -940))
    axes.grid(visible=False, axis='y')
    return _svg(figure)


def cost(found):
    """Time of one gradient against D."""
    figure, (axes,) = _canvas(3.6, left=0.12, right=0.72, top=0.97, bottom=0.14)
    record = found[dense.COST]
    sides = (  # the last is how far from its line a name is, in points
        ('relative', BLUE, 'o-', 0),
        ('amortised, average', ORANGE, '^-', 0),
        ('slogdet autodiff', VERMILION, 's-', -5),
        ('explicit inverse', GREY, 'D:', 5),
    )
    for name, colour, mark, above in sides:
        widths = [int(size) for size, found_at in record['seconds'].items() if name in found_at]
        seconds = [record['seconds'][str(width)][name]['median'] for width in widths]
        axes.plot(widths, np.array(seconds) * 1e3, mark, color=colour, markersize=4)
        text = f'{name}, D^{record["exponents"][name]:.2f}'
        _beside(axes, text, (widths[-1], seconds[-1] * 1e3), (6, above), color=colour)
    axes.set(xscale='log', yscale='log', xlabel='D', ylabel='milliseconds of one gradient')
    axes.set_xticks([64, 256, 784, 2048, 4096], labels=['64', '256', '784', '2,048', '4,096'])
    axes.set_yticks([0.1, 1, 10, 100, 1000], labels=['0.1', '1', '10', '100', '1,000'])
    axes.minorticks_off()
    return _svg(figure)


def rates(found):
    """Validation against the rate: fixed activations by three ways, learnt ones by the equivariant update."""
    figure, axes = _canvas(3.6, 2, left=0.12, right=0.97, top=0.92, bottom=0.25, wspace=0.25)
    learnt = [(each['settings']['lr'], each) for each in found[dense.RATES]['candidates']]
    looks = {
        'relative, Adam': (ORANGE, '^-'),
        'relative, momentum': (GREY, 's:'),
        'equivariant': (BLUE, 'o-'),
    }
    fixed = dense.rates_of_fixed(found)
    for place, (way, (colour, mark)) in enumerate(looks.items()):
        _draw_rates(axes[0], fixed[way], colour, mark, 0.05 * place)
        axes[0].plot([], [], mark, color=colour, markersize=4, label=way)
    _draw_rates(axes[1], learnt, *looks['equivariant'], 0.05)
    _label_rates(axes[0], 'fixed activation, 3,900 steps', (-1365, -1245), '1e-6 1e-5 1e-4 1e-3')
    _label_rates(
        axes[1], 'learnt activations, 1,170 steps', (-1065, -1030), '1e-3 2e-3 3e-3 6e-3 1.2e-2'
    )
    axes[0].set(ylabel='validation, nats')
    axes[0].plot([], [], 'x', color=BLACK, label='breaks')
    figure.legend(loc='lower left', bbox_to_anchor=(0.06, 0.0), ncols=4)
    return _svg(figure)


def _draw_rates(axes, candidates, colour, mark, height):
    """A line through what ended, and a cross at a height, a share of the axes', for each rate that broke."""
    ended = [
        (rate, each['validation_nats'])
        for rate, each in candidates
        if each['validation_nats'] is not None
    ]
    axes.plot(*zip(*ended, strict=True), mark, color=colour, markersize=4)
    for rate, each in candidates:
        if each['validation_nats'] is None:
            axes.plot(rate, height, 'x', color=colour, transform=axes.get_xaxis_transform())


def _label_rates(axes, title, limits, rates):
    axes.set(xscale='log', xlabel='rate', title=title, ylim=limits)
    axes.set_xticks([float(rate) for rate in rates.split()], labels=rates.split())
    axes.minorticks_off()


DRAWN = {'learning': learning, 'ladder': ladder, 'cost': cost, 'rates': rates}


def pictures(found):
    """Name of a file of `docs/pictures/` -> its text. found: as of `dense.read`."""
    with matplotlib.rc_context(STYLE):
        return {f'relative_gradient_{name}.svg': draw(found) for name, draw in DRAWN.items()}
