"""How far the equivariant update moves a matrix in a step, by the size of the batch, and what becomes of the matrix.

    python -m benchmarks.batch_noise

The training of `configs/mnist.py` at a rate that breaks with its batch of 128, with the warm-up of that config and the
schedule of `results/exploration/mnist_equivariant_rates.json`. Of the last layer, every LOOK_EVERY steps: the Frobenius
norm F of W^-1 (W' - W), W' being the matrix after the step, its largest singular value, and the smallest of W'. Were
the steps noise alone, correlated by the momentum m alone, the entries of the sum of n of them would have the standard
deviation F sqrt(n (1 + m) / (1 - m)) / D, and a matrix of such entries the norm 2 F sqrt(n (1 + m) / ((1 - m) D)):
where that is near one, what began as the identity may be singular.
"""

import itertools

import jax
import ml_collections
import numpy as np

from benchmarks.tools import figures, timing
from configs import mnist
from train import data as datasets
from train.training import experiment as experiments

NAME = 'batch_noise'
RATE, BATCH_SIZES = 6e-3, (128, 512)
LOOK_EVERY, STEPS = 20, 280


def experiment_of(batch_size: int) -> experiments.Experiment:
    """The experiment of `configs/mnist.py` at a batch size and RATE, one step a call."""
    config = mnist.get_config()
    config.update(batch_size=batch_size, lr=RATE, steps_per_call=1, schedule_steps=1170)
    return experiments.create(ml_collections.FrozenConfigDict(config))


def of_step(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """What a step did to W (D, D)."""
    relative = np.linalg.solve(before, after - before)
    return {
        'relative_step': float(np.linalg.norm(relative)),
        'largest_relative': float(np.linalg.norm(relative, 2)),
        'smallest_singular': float(np.linalg.norm(after, -2)),
    }


def measure(experiment: experiments.Experiment) -> dict[int, dict[str, float]]:
    """Step -> `of_step` of the last layer."""
    source = datasets.load(experiment.config).source('train')
    kept = experiment.layout.place(experiments.fresh_state(experiment, source))
    call, found = experiment.train_call(), {}

    def last_matrix() -> np.ndarray:
        params = jax.device_get(experiment.layout.fetch(kept)).params
        return np.asarray(params[f'affine_{experiment.config.num_layers - 1}']['W'], np.float64)

    epochs = range(0, STEPS, experiment.steps_per_epoch)
    batches = itertools.chain.from_iterable(experiment.chunks(source, first) for first in epochs)
    for step, (batch, indices) in enumerate(itertools.islice(batches, STEPS), start=1):
        before = last_matrix() if step % LOOK_EVERY == 0 else None
        kept, _ = call(kept, batch, indices)
        if before is not None:
            found[step] = of_step(before, last_matrix())
    return found


def main() -> None:
    """Measure, print and record."""
    found = {size: measure(experiment_of(size)) for size in BATCH_SIZES}
    header = (
        'batch',
        'step',
        "norm of W^-1 (W' - W)",
        'its largest singular value',
        "smallest of W'",
    )
    rows = [
        [size, step, *(figures.number(value, 2) for value in values.values())]
        for size, steps in found.items()
        for step, values in steps.items()
    ]
    command = f'python -m benchmarks.{NAME}'
    timing.record(NAME, command, {'rate': RATE, 'batches': found})
    figures.write_tables(NAME, figures.table(header, rows))


if __name__ == '__main__':
    main()
