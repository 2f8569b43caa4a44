"""Time of one gradient of the MLP flow's parameters against the width D, for every way to it.

    python -m benchmarks.relative_gradient [--batch=10] [--sizes=64,784,4096] [--rounds=5]

Two layers, float32; D up to 4,096 on a CPU, to 24,000 on an accelerator. Nothing computes the loss itself, as in
training, and each result is written over the one before. `amortised` is the ordinary gradient between two refreshes of
its inverses, and the mean with one refresh in ten steps. A side is left out from the size on at which one gradient
takes more than five seconds. The roofline is the larger of the times that the operations take at the speed of a large
matrix product and the bytes at that of a stream through memory, both measured in the same run.
"""

import argparse
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.sides.gradient import (
    LAYERS,
    PUBLISHED,
    PUBLISHED_D,
    WHOLE_JACOBIAN_UP_TO,
    compiled,
    sides_of,
)
from benchmarks.tools import figures, timing

NAME = 'relative_gradient'
SMALL = (64, 128, 256, 512, 784, 1024, 1536, 2048, 3072, 4096)
LARGE = (*SMALL, 6144, 8192, 12_288, 16_384, 24_000)
FITTED = (1024, 4096)
LONGEST = 5.0  # seconds of one gradient
SLOW_ROUND = 4.0  # seconds of a round of all sides, beyond which there are three rounds at most


def measure(width, batch, rounds, left_out):
    """name -> figures of one gradient at this width; sides that are too slow are added to `left_out`."""
    sides, runs, found, total = {}, {}, {}, 0.0
    for name, (side, memory, gradients_in_a_call) in sides_of(width, batch, left_out).items():
        repeated, calls, once = timing.repeated(side, 0.2)
        if once / gradients_in_a_call > LONGEST:
            left_out.add(name)
            continue
        sides[name], runs[name] = repeated, calls * gradients_in_a_call
        found[name] = {'temporary_bytes': memory}
        total += once * calls
    seconds = timing.by_turns(sides, rounds if total < SLOW_ROUND else min(rounds, 3))
    for name, values in seconds.items():
        found[name] |= timing.summary(values, 1 / runs[name])
    return found


def names_of(found):
    """The sides that were measured at any size."""
    return list(dict.fromkeys(name for sides in found.values() for name in sides))


def exponents(found):
    """name -> slope of log time on log D over the sizes of FITTED, where there are three or more."""
    slopes = {}
    for name in names_of(found):
        sizes = [d for d, sides in found.items() if FITTED[0] <= d <= FITTED[1] and name in sides]
        if len(sizes) > 2:
            times = [found[d][name]['median'] for d in sizes]
            slopes[name] = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
    return slopes


def machine_speed():
    """{'operations', 'bytes'} a second: of a float32 product of 4096 x 4096, and read and written by a scaling."""
    a = jax.random.normal(jax.random.key(0), (4096, 4096))
    product, _ = compiled(jnp.matmul, a, a)
    stream = jnp.ones(2**26)
    program = jax.jit(lambda values: values * 1.5, donate_argnums=0)

    def scaling():
        nonlocal stream
        stream = jax.block_until_ready(program(stream))

    seconds = timing.by_turns({'product': product, 'scaling': scaling}, 3)
    return {
        'operations': 2 * 4096**3 / float(np.min(seconds['product'])),
        'bytes': 2 * stream.nbytes / float(np.min(seconds['scaling'])),
    }


def roofline(width, batch, speed):
    """The seconds that a relative gradient cannot do without.

    Products of (B, D) with (D, D) or their like: x W, y W^T and (y W^T)^T delta in every layer, delta W^T in all but
    the first. W is read on the way forward and on the way back, dW written once.
    """
    operations = (4 * LAYERS - 1) * 2 * batch * width**2
    moved = LAYERS * 3 * 4 * width**2
    return max(operations / speed['operations'], moved / speed['bytes'])


def requirements(found, slopes, batch):
    """The bounds that apply to what was measured."""
    lines = []
    if 'relative' in slopes:
        what = 'exponent of relative, D from 1,024 to 4,096'
        lines.append(timing.requirement(what, slopes['relative'], at_most=2.2))
    for width, bound in ((784, 25), (3072, 40)):
        sides = found.get(width, {})
        if batch == 10 and 'slogdet autodiff' in sides:
            ratio = sides['slogdet autodiff']['median'] / sides['relative']['median']
            what = f'time of slogdet autodiff / relative, D = {width:,}, batch 10'
            lines.append(timing.requirement(what, ratio, at_least=bound))
    return lines


def report(found, slopes, required, batch):
    """The tables."""
    names = names_of(found)

    def cells(width, sides, key, scale):
        return [figures.number(sides[n][key] * scale) if n in sides else '-' for n in names]

    times = [
        [d, *cells(d, of, 'median', 1e3), f'{of["relative"]["share_of_roofline"]:.2f}']
        for d, of in found.items()
    ]
    fits = [['exponent', *(f'{slopes[n]:.2f}' if n in slopes else '-' for n in names), '']]
    memory = [[d, *cells(d, sides, 'temporary_bytes', 2**-20)] for d, sides in found.items()]
    figures.write_tables(
        NAME,
        f'Milliseconds of one gradient, {LAYERS} layers, batch {batch}, medians; "-": not measured: one gradient takes '
        f'more than {LONGEST:.0f} s, or the whole Jacobian of more than {WHOLE_JACOBIAN_UP_TO} components. Exponents '
        f'over D = {FITTED[0]:,} to {FITTED[1]:,}.',
        figures.table(['D', *names, 'share of roofline, relative'], times + fits),
        'Temporary memory of the compiled gradient, MiB.',
        figures.table(['D', *names], memory),
        figures.requirements_table(required),
    )


def draw(found, batch):
    """The plot of time against D, after the published figure."""
    names = names_of(found)
    with figures.plot(
        NAME,
        xlabel='D',
        ylabel='seconds of one gradient',
        xscale='log',
        yscale='log',
        title=f'{LAYERS} layers, batch {batch}, {jax.devices()[0].device_kind}',
    ) as axes:
        colours = dict(zip(names, itertools.cycle(f'C{i}' for i in range(10)), strict=False))
        for name in names:
            widths = [d for d in found if name in found[d]]
            medians = [found[d][name]['median'] for d in widths]
            axes.plot(widths, medians, 'o-', color=colours[name], markersize=4, label=name)
        for name, times in PUBLISHED.items():
            axes.plot(
                PUBLISHED_D[: len(times)],
                times,
                '--',
                color=colours.get(name, 'k'),
                label=f'{name}, published (unknown hardware)',
            )


def main():
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = SMALL if jax.default_backend() == 'cpu' else LARGE
    parser.add_argument('--batch', type=int, default=10)
    parser.add_argument('--sizes', default=','.join(map(str, sizes)))
    parser.add_argument('--rounds', type=int, default=5)
    options = parser.parse_args()
    speed, found, left_out = machine_speed(), {}, set()
    for width in map(int, options.sizes.split(',')):
        found[width] = measure(width, options.batch, options.rounds, left_out)
        bound = roofline(width, options.batch, speed)
        found[width]['relative']['share_of_roofline'] = bound / found[width]['relative']['median']
    slopes = exponents(found)
    required = requirements(found, slopes, options.batch)
    command = f'python -m benchmarks.{NAME} --batch={options.batch} --sizes={options.sizes}'
    timing.record(
        NAME,
        command,
        {
            'batch': options.batch,
            'layers': LAYERS,
            'seconds': found,
            'exponents': slopes,
            'machine_speed': speed,
            'required': required,
        },
    )
    report(found, slopes, required, options.batch)
    draw(found, options.batch)


if __name__ == '__main__':
    with jax.default_matmul_precision('highest'):
        main()
