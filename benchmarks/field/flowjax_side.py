"""Flows of flowjax (D. Ward, https://github.com/danielward27/flowjax), JAX and Equinox."""

import equinox as eqx
import flowjax.flows
import jax
import jax.numpy as jnp
import optax
import paramax
from flowjax.bijections import RationalQuadraticSpline
from flowjax.distributions import Normal

from benchmarks.field import jax_side
from benchmarks.field import task as tasks
from benchmarks.tools import children


def flow_of(task):
    """The flow; log_prob goes through the network once, samples through its inverse."""
    sizes = {'flow_layers': tasks.LAYERS, 'nn_width': task.hidden, 'nn_depth': 2}
    key, base = jax.random.key(0), Normal(jnp.zeros(task.features))
    if task.flow == 'maf':
        return flowjax.flows.masked_autoregressive_flow(key, base_dist=base, **sizes)
    spline = RationalQuadraticSpline(knots=tasks.BINS, interval=tasks.BOUND)
    return flowjax.flows.coupling_flow(key, base_dist=base, transformer=spline, **sizes)


def training(task, flow):
    """A function that makes the updates of a turn, the step compiled as flowjax's own loop has it."""
    optimizer = optax.adam(tasks.RATE)
    params, static = eqx.partition(
        flow, eqx.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable)
    )

    @eqx.filter_jit
    def step(params, opt_state, x):
        def loss(params):
            return -paramax.unwrap(eqx.combine(params, static)).log_prob(x).mean()

        updates, opt_state = optimizer.update(eqx.filter_grad(loss)(params), opt_state)
        return eqx.apply_updates(params, updates), opt_state

    return jax_side.training(task, step, (params, optimizer.init(params)))


def main():
    """Serve the turns."""
    task = tasks.from_arguments()
    flow = flow_of(task)
    if task.work == 'train':
        children.serve(training(task, flow))
        return
    sample = eqx.filter_jit(lambda flow, key: flow.sample(key, (task.rows,)))
    children.serve(lambda: jax.block_until_ready(sample(flow, jax.random.key(1))))


if __name__ == '__main__':
    main()
