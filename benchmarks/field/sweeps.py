"""This project's MAF drawn as other libraries do it: the whole network once for every component.

x <- tau^-1(z; theta(x)), D times: after the n-th time the first n components are right.
"""

import jax
import jax.numpy as jnp

from benchmarks.field import here
from benchmarks.field import task as tasks
from benchmarks.tools import children
from flows import Reverse


def inverse(layer, params, z):
    """x (B, D) of an `Autoregressive` layer's z."""

    def sweep(module, x):
        theta = module.conditioner(x, module.transformer.num_parameters)
        return module.transformer.inverse_and_log_slope(z, theta)[0]

    def once(_, x):
        return layer.apply({'params': params}, x, method=sweep)

    return jax.lax.fori_loop(0, z.shape[1], once, jnp.zeros_like(z))


def main():
    """Serve the turns."""
    task = tasks.from_arguments()
    flow = here.flow_of(task)
    variables = flow.init(jax.random.key(0), jnp.zeros((2, task.features)), method='log_likelihood')
    params = variables['params']['chain']

    @jax.jit
    def sample(key):
        x = flow.base.sample(key, (task.rows, task.features))
        for index, layer in reversed(list(enumerate(flow.layers))):
            if isinstance(layer, Reverse):
                x, _ = layer.inverse_and_log_det(x)
            else:
                x = inverse(layer, params[f'layers_{index}'], x)
        return x

    children.serve(lambda: jax.block_until_ready(sample(jax.random.key(1))))


if __name__ == '__main__':
    main()
