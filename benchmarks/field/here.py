"""This project's side."""

import jax
import jax.numpy as jnp
import optax

import flows
from benchmarks.field import jax_side
from benchmarks.field import task as tasks
from benchmarks.tools import children


def flow_of(task):
    """The flow, as a `ChainFlow`."""
    layers = []
    for index in range(tasks.LAYERS):
        if task.flow == 'maf':
            layers += [flows.Reverse()] if index else []
            layers.append(flows.Autoregressive(flows.MADE(task.hidden, 2), flows.Affine()))
        else:
            network = flows.MLPConditioner((task.hidden, task.hidden))
            spline = flows.RationalQuadraticSpline(tasks.BINS, tasks.BOUND)
            layers.append(flows.Coupling(network, spline, flows.AlternatingMask(index % 2)))
    return flows.ChainFlow(num_features=task.features, layers=tuple(layers))


def training(task, flow, params):
    """A function that makes the updates of a turn."""
    optimizer = optax.adam(tasks.RATE)

    @jax.jit
    def step(params, opt_state, x):
        def loss(params):
            return -flow.apply({'params': params}, x, method='log_likelihood').mean()

        updates, opt_state = optimizer.update(jax.grad(loss)(params), opt_state)
        return optax.apply_updates(params, updates), opt_state

    return jax_side.training(task, step, (params, optimizer.init(params)))


def main():
    """Serve the turns."""
    task = tasks.from_arguments()
    flow = flow_of(task)
    x = jnp.zeros((2, task.features))
    variables = flow.init(jax.random.key(0), x, method='log_likelihood')
    if task.work == 'train':
        children.serve(training(task, flow, variables['params']))
        return
    sample = jax.jit(lambda key: flow.apply(variables, key, task.rows, method='sample'))
    children.serve(lambda: jax.block_until_ready(sample(jax.random.key(1))))


if __name__ == '__main__':
    main()
