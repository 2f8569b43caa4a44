"""What becomes of the hidden units of four couplings in the plane, by activation and by how widely weights start.

    python -m benchmarks.dead_units [--density=8gaussians] [--steps=6400]

The flow of `configs/study_toy.py:long` on standardised points, new ones in every step, SEEDS seeds at once. The
divergence is KL(density || flow) in nats, the mean of the difference of their log-densities at POINTS points that no
step saw. A unit is dead if what its activation is given is below zero at all of these points, whatever the activation
makes of it.
"""

import argparse
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.tools import figures, timing
from flows import BoundedAffine, CouplingFlow, MLPConditioner
from train.data.datasets.toy_densities import TOYS, Toy

NAME = 'dead_units'
SEEDS, BATCH, POINTS, RATE, STEPS_A_CALL = 4, 512, 20_000, 2.5e-3, 100
ACTIVATIONS = {'ReLU': nn.relu, 'leaky ReLU': nn.leaky_relu, 'SiLU': nn.silu}
GAINS = {'1': 1.0, 'sqrt(6)': 6**0.5, '6': 6.0}
CANDIDATES = [
    *(('ReLU', gain) for gain in GAINS),
    *(('leaky ReLU', gain) for gain in ('1', 'sqrt(6)')),
    ('SiLU', 'sqrt(6)'),
]


def flow_of(activation: str, gain: str) -> CouplingFlow:
    """Four couplings with the networks of a candidate."""
    conditioner = MLPConditioner(activation=ACTIVATIONS[activation], gain=GAINS[gain])
    return CouplingFlow(conditioner=conditioner, transformer=BoundedAffine(4.0))


def loss(flow: CouplingFlow, params: dict, x: jax.Array) -> jax.Array:
    """Mean negative log-likelihood of x (B, 2), nats."""
    return -flow.apply({'params': params}, x, method='log_likelihood').mean()


def dead(flow: CouplingFlow, params: dict, x: jax.Array) -> jax.Array:
    """Shares of dead units in the first and in the second layers of all couplings, (2,), at points x (N, 2)."""
    _, kept = flow.apply(
        {'params': params},
        x,
        method='forward_and_log_det',
        capture_intermediates=lambda module, _: isinstance(module, nn.Dense),
    )
    networks = [each['conditioner'] for each in kept['intermediates']['chain'].values()]
    of_layers = [
        jnp.stack([network[layer]['__call__'][0] for network in networks])
        for layer in ('Dense_0', 'Dense_1')
    ]
    return jnp.stack([(values.max(axis=1) < 0).mean() for values in of_layers])


class Points:
    """Standardised points of a density, new ones in every call, in one order."""

    def __init__(self, density: Toy) -> None:
        self.density, self.rng = density, np.random.default_rng(5)
        many = density.sample(self.rng, 1_000_000)
        self.mean, self.std = many.mean(axis=0), many.std(axis=0)

    def __call__(self, *shape: int) -> np.ndarray:
        """(*shape, 2)."""
        points = self.density.sample(self.rng, math.prod(shape))
        return ((points - self.mean) / self.std).astype(np.float32).reshape(*shape, 2)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Of standardised points x (N, 2), (N,)."""
        return self.density.log_density(x * self.std + self.mean) + np.log(self.std).sum()


def trained(flow: CouplingFlow, steps: int, points: Points) -> dict:
    """The divergences of all seeds, and shares of dead units over all of them."""
    schedule = optax.cosine_decay_schedule(RATE, steps)
    optimiser = optax.chain(optax.clip_by_global_norm(20.0), optax.adam(schedule))

    def start(key, x):
        params = flow.init(key, x, method='forward_and_log_det')['params']
        return params, optimiser.init(params)

    def step(kept, x):
        params, state = kept
        updates, state = optimiser.update(jax.grad(loss, 1)(flow, params, x), state)
        return (optax.apply_updates(params, updates), state), None

    call = jax.jit(jax.vmap(lambda kept, x: jax.lax.scan(step, kept, x)[0]))
    of_all = jax.jit(
        jax.vmap(lambda params, x: (loss(flow, params, x), dead(flow, params, x)), (0, None))
    )
    keys = jax.random.split(jax.random.key(42), SEEDS)
    params, state = jax.vmap(start, (0, None))(keys, points(BATCH))
    validation = points(POINTS)
    _, at_start = of_all(params, validation)
    for _ in range(steps // STEPS_A_CALL):
        params, state = call((params, state), points(SEEDS, STEPS_A_CALL, BATCH))
    losses, at_end = of_all(params, validation)
    return {
        'divergence': timing.summary(np.asarray(losses) + points.log_density(validation).mean()),
        'dead_at_the_start': at_start.mean(axis=0).tolist(),
        'dead_at_the_end': at_end.mean(axis=0).tolist(),
    }


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--density',
        choices=[name for name, toy in TOYS.items() if toy.log_density],
        default='8gaussians',
    )
    parser.add_argument('--steps', type=int, default=6400)
    options = parser.parse_args()
    found, rows = {}, []
    for activation, gain in CANDIDATES:
        flow = flow_of(activation, gain)
        each = trained(flow, options.steps, Points(TOYS[options.density]))
        found[f'{activation}, gain {gain}'] = each
        per_cent = (
            f'{100 * share:.0f}'
            for when in ('start', 'end')
            for share in each[f'dead_at_the_{when}']
        )
        rows.append((activation, gain, figures.interval(each['divergence']), *per_cent))
        print(rows[-1], flush=True)
    header = (
        'activation',
        'gain',
        'divergence, nats',
        'dead at the start, first layers, %',
        'second, %',
        'at the end, first, %',
        'second, %',
    )
    command = f'python -m benchmarks.{NAME} --density={options.density} --steps={options.steps}'
    timing.record(NAME, command, {'candidates': found})
    figures.write_tables(NAME, figures.table(header, rows))


if __name__ == '__main__':
    main()
