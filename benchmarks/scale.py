"""`docs/scale.md`: what runs would be on TPU slices, from the records that `python -m train.compile` left.

    python -m train.compile --config=configs/mnist.py --topology=v5e:2x4 --batch_size=1024 \\
        --output=results/ahead/mnist.json
    python -m benchmarks.scale

Reads `results/ahead/`; the same records give the same page.
"""

import pathlib

from benchmarks.page import records, slices
from train.ahead.chips import CHIPS, SOURCE
from train.ahead.page import BUSY, duration, exchanges, size
from train.reports.markdown import table

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER, PAGE = ROOT / 'results', ROOT / 'docs' / 'scale.md'

TOP = """# What a run would be on TPUs

Written by `python -m benchmarks.scale` from `results/ahead/`; edit those, not this page.

    pip install -c constraints.txt '.[tpu]'
    python -m train.compile --config=configs/mnist.py --topology=v5e:2x4 --batch_size=1024

compiles what a run executes, the chunk of training steps and the call of the validation, for the chips of a slice that
is not there: libtpu is the compiler of a TPU and needs none. Nothing below was run on a TPU. The compiler fixed the
memory, the products, the exchanges and the loops; the *least time* follows from the chip's peaks, each step waiting for
the busiest of matrix unit, memory and links alone. The vector unit, the latency of an exchange, the turns of loops and
the host come on top, so a step takes longer; by how much, only a TPU says.

`--batch_size` is of all chips together. `--products` lists every matrix product with its M, N and K, `--output` keeps
the record, and `--topology` goes from one chip (`v5e:1x1`) to `v5e:16x16` and `v4:4x4x8`; `cpu` and `gpu` compile for
what is here.
"""

STEP = """A step of training, figures of one chip. *Products* are those of matrices, a multiplication and an addition
each; float32 at the precision `highest` takes six passes of bfloat16, which the time counts. *Moved* is between the
memory and the core. *O(D^3)* counts matrix products with no side under D, the width of the data, for fewer rows a chip
than that. *Turns* are those of loops within a step, one after the other. The
machine that compiled did other work as well."""

VALIDATION = 'A call of the validation, of `config.eval_batch_size` rows, figures of one chip.'

EXCHANGES = """What chips exchange in a step. The gradient of every parameter and the sums of all metrics leave
together: JAX asks for an all-reduce of each array, and the compiler puts them into one, or into a few where there are
many megabytes of them. Then how long a step keeps each resource of a chip busy at least."""

MORE = """With as many rows a chip, more chips do the same work and move the same; an exchange sends (n - 1) / n times
as much as among very many, by two links of the chip at the corner, by four where the slice is a ring. So one record
says the least time of a step on every slice; behind it the efficiency, the rows a second of a chip against those of one
alone. The last column is how many rows a chip needs for its matrix unit to be busy as long as its links are on 64
chips. With fewer of them, a given batch on more chips, the exchange does not get shorter, and data parallelism stops
paying."""

PREDICTED = """Where another slice was compiled for as well, with as many rows a chip, the compiler nearly agrees:"""

SAME = """With 1,024 rows in all, more chips have fewer rows each. The products of a chip are then fewer in proportion,
and its exchange stays: what the two take is below, no step being shorter. What goes to and from memory comes on top and
only the compiler knows. Where the links are busier than the matrix unit, further chips make a step no shorter, unless
their slice has more links, as the ring of 256 has."""

COMPILED = """And with memory, for the slices that were compiled for with this batch:"""

WIDE = """Two layers of the MLP flow as published (`configs/mnist_published.py`), the relative gradient and Adam, of a
width alone: `--config.dataset=array --config.array.columns=12288` is a dataset of which nothing but its shape is known,
and no parameter is ever made. 3,072 is the width of CIFAR-10, 12,288 that of ImageNet at 64 by 64; both are among the
tables above. On one chip, by the relative gradient and by the ordinary one, which differentiates log|det W|, with a
batch of 128 rows:"""

DIVIDED = """`--config.parallel=shard_map --config.shard_optimizer=True` divides the optimiser's state among the chips
(ZeRO, stage 1): each updates its part of the parameters, which a reduce-scatter of the gradient and an all-gather of
the parameters surround in place of the all-reduce. They send as much; the memory of Adam's moments, two thirds of the
state, is divided by the number of chips, and so is what the update moves. Steps are equal to the bit to those of a
whole state in the tests of eight host devices, and to 1e-6 where the gradient is clipped by its norm."""

CHIP = f'What a chip can do at most, after [{SOURCE}]({SOURCE}); a link in one direction.'


def _each(found, kind):
    """(name as code, record, its program of that kind) of every record of the slice of all configs that has one."""
    return [
        (f'`{name}`', record, record['programs'][kind])
        for name, record in slices.mains(found).items()
        if kind in record['programs']
    ]


def training(found):
    """A row a record: what a training step costs."""
    header = (
        *('config', 'slice', 'rows a step', 'memory of a chip', 'products', 'moved', 'O(D^3)'),
        *('turns', 'padding', 'least time of a step', 'busiest', 'compiled in'),
    )
    rows = []
    for name, record, program in _each(found, 'training'):
        times = program['roofline']
        rows.append(
            (
                name,
                f'{record["topology"]}',
                f'{record["batch_size"]:,}',
                f'{size(program["memory"]["total"])}, {program["memory"]["share"]:.2%}',
                size(program['flops'], 'FLOP'),
                size(program['bytes']),
                cubic(record['D'], program),
                f'{program["loops"]["turns"]:.4g}',
                f'{program["padding"]["products"]:.1%}',
                duration(times['seconds']),
                BUSY[times['bound_by']],
                f'{program["compile_seconds"]:.0f} s',
            )
        )
    return table(header, rows)


def cubic(D, program):
    """How many products cost O(D^3), where fewer rows than D tell them from those of a batch."""
    return program['cubic_products'] if program['rows'] < D else f'{program["rows"]} rows, D = {D}'


def validation(found):
    """A row a record: what a call of the validation costs."""
    header = (
        *('config', 'rows of a chip', 'memory of a chip', 'products', 'moved'),
        *('custom calls', 'least time', 'busiest'),
    )
    rows = []
    for name, _, program in _each(found, 'validation'):
        calls = ', '.join(f'{n} {call}' for call, n in program['custom_calls'].items())
        rows.append(
            (
                name,
                program['rows'],
                size(program['memory']['total']),
                size(program['flops'], 'FLOP'),
                size(program['bytes']),
                calls or 'none',
                duration(program['roofline']['seconds']),
                BUSY[program['roofline']['bound_by']],
            )
        )
    return table(header, rows)


def exchanged(found):
    """A row a record: what leaves a chip in a step, and how long each resource is busy at least."""
    header = ('config', 'exchanges of a step', 'arrays', *BUSY.values())
    rows = []
    for name, _, program in _each(found, 'training'):
        times = program['roofline']
        rows.append(
            (
                name,
                exchanges(program['collectives']),
                sum(each['arrays'] for each in program['collectives']),
                *(duration(times[key]) for key in BUSY),
            )
        )
    return table(header, rows)


def commands(found):
    """A row a record: where it comes from."""
    header = ('record', 'command', 'compiled on', 'libtpu', 'commit', 'date')
    rows = [
        (
            f'`{name}`',
            f'`{record["command"]}`',
            f'{record["cpu_count"]} cores',
            record['versions']['libtpu'],
            (record['commit'] or 'none')[:7],
            record['time'][:10],
        )
        for name, record in found.items()
    ]
    return table(header, rows)


def chips():
    """The table of the chips."""
    header = ('chip', 'bfloat16', 'memory', 'its bandwidth', 'a link')
    rows = [
        (
            name,
            size(chip.flops, 'FLOP/s'),
            size(chip.hbm),
            f'{size(chip.hbm_bandwidth)}/s',
            f'{size(chip.link_bandwidth)}/s',
        )
        for name, chip in CHIPS.items()
    ]
    return table(header, rows)


def page(folder):
    """The whole page from a `results/` folder, as Markdown."""
    found = records.read(folder, 'ahead')
    sections = [
        ('A step', [STEP, training(found)]),
        ('Exchanges, and what is busy how long', [EXCHANGES, exchanged(found)]),
        ('Validation', [VALIDATION, validation(found)]),
        ('More chips', [MORE, slices.same_rows_a_chip(found), PREDICTED, slices.predicted(found)]),
        (
            'The same batch on more chips',
            [SAME, slices.bound_of_same_batch(found), COMPILED, *slices.same_batch(found)],
        ),
        ('Wide data', [WIDE, slices.one_chip(found), slices.largest(found)]),
        ("The optimiser's state divided", [DIVIDED, slices.divided(found)]),
        ('Chips', [CHIP, chips()]),
        ('Records', [commands(found)]),
    ]
    return TOP + ''.join(
        '\n' + '\n\n'.join([f'## {title}', *blocks]) + '\n' for title, blocks in sections
    )


def main():
    """Write `docs/scale.md`."""
    PAGE.write_text(page(FOLDER))


if __name__ == '__main__':
    main()
