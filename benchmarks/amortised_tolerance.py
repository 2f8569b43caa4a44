"""What the tolerance of the amortised gradient costs: the error of the gradient, and the validation after training.

    python -m benchmarks.amortised_tolerance [--steps=2000] [--tolerances=0,0.1,0.25,0.5,1] [--refresh_every=10,1000]

A two-layer flow on the digits of `configs/digits.py` in logit space, each dequantised once, from a whitening start by
Adam on the amortised gradient. `flows.relative.lagged_affine.TOLERANCE` says how far a kept inverse may be off, in
Frobenius norm, before inverses are refreshed more often; 0 refreshes in every step, so that the gradient is exact. In
every step the gradient that is taken is set beside the ordinary one. Writes
`results/exploration/amortised_tolerance.json`.
"""

import argparse
import json

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from benchmarks.tools import timing
from configs import digits
from flows import MLPFlow, RelativeAffine, SmoothLeakyReLU, lagged_affine
from train import data as datasets
from train.data.preprocessing import Preprocessing
from train.step.randomness import example_keys
from train.step.step import preprocess

NAME = 'amortised_tolerance'
RESULTS = timing.RESULTS.parent / 'exploration'
BATCH, RATE, ALPHA = 64, 7e-4, 0.3


def rows():
    """Training and validation rows in the model's space, (N, D) each."""
    config = ml_collections.FrozenConfigDict(digits.get_config())
    data = datasets.load(config)
    preprocessing = Preprocessing.fit(config, data.description, data.source('train'))

    def of(split):
        source = data.source(split)
        indices = np.arange(len(source), dtype=np.int32)
        keys = example_keys(np.uint32(0), 'noise', 0, indices)
        return preprocess(preprocessing, source.gather(indices), keys, training=True)[0]

    return of('train'), of('validation')


def objective_gradient(model, variables, x, step):
    """The gradient of the mean loss, and the model's new cache."""

    def loss(params):
        terms, state = model.apply(
            {**variables, 'params': params}, x, None, step, method='objective', mutable=['cache']
        )
        return terms['loss'].mean(), state

    return jax.grad(loss, has_aux=True)(variables['params'])


def relative_error(found, exact):
    """|difference| / |dW| of the worse layer."""
    norm = jnp.linalg.norm
    pairs = [(found[layer]['W'], exact[layer]['W']) for layer in exact]
    return jnp.stack([norm(dW - truth) / norm(truth) for dW, truth in pairs]).max()


def train(x, refresh_every, steps):
    """(variables, error of dW and steps between refreshes in every step) after training on rows x (N, D)."""
    layer = RelativeAffine(gradient='amortised', refresh_every=refresh_every, start='whiten')
    model = MLPFlow(activation=SmoothLeakyReLU(ALPHA), layer=layer)
    plain = MLPFlow(activation=SmoothLeakyReLU(ALPHA), layer=RelativeAffine(gradient='ordinary'))
    rate = optax.warmup_cosine_decay_schedule(0.0, RATE, steps // 10, steps)
    optimizer = optax.adam(rate)

    def one(carry, step):
        variables, state = carry
        chosen = jax.random.choice(jax.random.fold_in(jax.random.key(1), step), len(x), (BATCH,))
        found, cache = objective_gradient(model, variables, x[chosen], step)
        exact, _ = objective_gradient(plain, {'params': variables['params']}, x[chosen], step)
        updates, state = optimizer.update(found, state, variables['params'])
        variables = {'params': optax.apply_updates(variables['params'], updates), **cache}
        interval = cache['cache']['inverses'].interval
        return (variables, state), (relative_error(found, exact), interval)

    @jax.jit
    def run(x):
        variables = model.init(jax.random.key(0), x, None, 0, method='objective')
        carry = variables, optimizer.init(variables['params'])
        (variables, _), measured = jax.lax.scan(one, carry, jnp.arange(steps))
        return variables, measured

    return run(x)


def candidate(data, tolerance, refresh_every, steps):
    """A row: validation, and the errors in its settings."""
    lagged_affine.TOLERANCE = tolerance
    variables, (errors, intervals) = train(data[0], refresh_every, steps)
    model = MLPFlow(activation=SmoothLeakyReLU(ALPHA))
    nats = model.apply({'params': variables['params']}, data[1], method='log_likelihood')
    middle, high, largest = np.percentile(errors, [50, 95, 100])
    settings = {
        'tolerance': tolerance,
        'refresh_every': refresh_every,
        'steps between refreshes, mean': round(float(intervals.mean()), 1),
        'error of dW, median': float(f'{middle:.2g}'),
        '95 %': float(f'{high:.2g}'),
        'largest': float(f'{largest:.2g}'),
    }
    return {
        'name': f'tolerance {tolerance:g}, at most {refresh_every} steps',
        'settings': settings,
        'validation_nats': round(float(nats.mean()), 3),
        'two_standard_errors': round(float(2 * nats.std(ddof=1) / np.sqrt(len(nats))), 3),
        'seeds': 1,
    }


def about(options):
    """How the figures came about."""
    return (
        f'`python -m benchmarks.{NAME} --steps={options.steps} --tolerances={options.tolerances} '
        f'--refresh_every={options.refresh_every}`: two layers on 8x8 digits, whitening start, Adam, rate {RATE:g}, '
        'warm-up and cosine, on the amortised gradient. *tolerance* is `flows.relative.lagged_affine.TOLERANCE`, 0 the '
        'exact gradient; *refresh_every* the most steps between two inversions. The error of dW is |difference| / |dW| '
        'against the ordinary gradient of the same batch, of the worse layer, in every step. Two standard errors are '
        'over validation examples, which are the same in all rows, as are start and batches: the difference between '
        'rows is known better than either value.'
    )


def main():
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--steps', type=int, default=2000)
    parser.add_argument('--tolerances', default='0,0.1,0.25,0.5,1')
    parser.add_argument('--refresh_every', default='10,1000')
    options = parser.parse_args()
    data, candidates = rows(), []
    tolerances = [float(text) for text in options.tolerances.split(',')]
    for longest in map(int, options.refresh_every.split(',')):
        for tolerance in tolerances:
            if tolerance or not candidates:  # the exact gradient once
                candidates.append(candidate(data, tolerance, longest, options.steps))
                print(json.dumps(candidates[-1]), flush=True)
    title = f'How far kept inverses may be off, {options.steps:,} steps on digits'
    found = {'title': title, 'about': about(options), 'candidates': candidates}
    (RESULTS / f'{NAME}.json').write_text(json.dumps(found, indent=2) + '\n')


if __name__ == '__main__':
    main()
