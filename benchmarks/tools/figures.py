"""Tables and plots of benchmarks, beside the JSON of their figures."""

import contextlib

from benchmarks.tools import timing
from train.reports import markdown


def table(header, rows):
    """A Markdown table; the first column is text, the others are numbers or remarks."""
    return markdown.table(header, rows, numbers=True)


def number(value, digits=3):
    """A number to so many significant digits, without an exponent where it can be read so."""
    text = f'{value:.{digits}g}'
    return text if 'e' not in text or abs(value) < 1e-3 else f'{value:,.0f}'


def interval(found, digits=3):
    """A `timing.summary` as its median with the quartiles behind it."""
    low, high = (number(value, digits) for value in found['quartiles'])
    return f'{number(found["median"], digits)} ({low} to {high})'


def requirements_table(required):
    """What had to be kept, and what was found."""
    rows = [
        [line['what'], line['required'], number(line['found']), 'yes' if line['met'] else 'no']
        for line in required
    ]
    return table(['', 'required', 'found', 'met'], rows)


def write_tables(name, *tables):
    """Write the tables to `results/benchmarks/NAME.md`, and print them."""
    text = '\n\n'.join(tables)
    timing.RESULTS.mkdir(parents=True, exist_ok=True)
    (timing.RESULTS / f'{name}.md').write_text(text + '\n')
    print(text)


@contextlib.contextmanager
def plot(name, **labels):
    """Axes to draw on, saved as `results/benchmarks/NAME.png` at the end; labels as of `Axes.set`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout='constrained')
    axes = figure.add_subplot(xlabel=labels.pop('xlabel'), ylabel=labels.pop('ylabel'), **labels)
    yield axes
    axes.grid(alpha=0.3)
    figure.legend(fontsize='small', loc='outside lower center', ncols=2)
    timing.RESULTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(timing.RESULTS / f'{name}.png', dpi=120)
