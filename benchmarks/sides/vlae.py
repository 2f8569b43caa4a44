"""What `benchmarks.vlae` measures: training steps and likelihoods of the library and of the published loop."""

import ctypes
import functools
import pathlib
import re

import jax
import jax.numpy as jnp
import optax

from benchmarks.baselines import vlae
from benchmarks.tools import arithmetic
from flows.keys import fold_in
from vaes import VLAE
from vaes.distributions import draw_noise
from vaes.latent_variable_model import LATENT

OURS, PUBLISHED = 'this project', 'published'


def setting(num_features, batch):
    """(model, its parameters, x (B, D), keys (B,)): the default sizes, white noise for data."""
    model = VLAE(num_features=num_features)
    keys = jax.random.split(jax.random.key(0, impl='threefry2x32'), batch)
    x = jax.random.normal(jax.random.key(1), (batch, num_features))
    initialise = jax.jit(functools.partial(model.init, method='objective'))
    params = initialise({'params': jax.random.key(2)}, x, keys, jnp.int32(0))['params']
    return model, params, x, keys


def losses(side, model):
    """Function (params, x (B, D), keys (B,)) -> loss (B,) of a side."""

    def of_library(params, x, keys):
        return model.apply({'params': params}, x, keys, jnp.int32(0), method='objective')['loss']

    def of_published(params, x, keys):
        like = jnp.zeros((len(x), model.z_dim), x.dtype)
        noise = draw_noise(fold_in(keys, LATENT), (), like)
        return vlae.loss(params, x, noise, model.n_update, model.update_lr)

    return {OURS: of_library, PUBLISHED: of_published}[side]


def adam_step(loss):
    """(optimiser, step (params, opt_state, x, keys) -> (params, opt_state, loss))."""
    optimizer = optax.adam(5e-4)

    def step(params, opt_state, x, keys):
        value, gradient = jax.value_and_grad(lambda p: loss(p, x, keys).mean())(params)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, value

    return optimizer, step


class Training:
    """A side's compiled step with its state; a call makes one step."""

    def __init__(self, side, num_features, batch):
        model, params, self._x, self._keys = setting(num_features, batch)
        optimizer, step = adam_step(losses(side, model))
        self._state = params, optimizer.init(params)
        step = jax.jit(step, donate_argnums=(0, 1))
        self.program = step.lower(*self._state, self._x, self._keys).compile()

    def __call__(self):
        *self._state, loss = self.program(*self._state, self._x, self._keys)
        if not jnp.isfinite(loss):
            raise FloatingPointError(f'The loss is {loss}; the step measures nothing.')


def multiply_adds(side, num_features, batch):
    """Multiply-adds in the matrix products of a training step's gradient, per example."""
    model, params, x, keys = setting(num_features, batch)
    loss = losses(side, model)
    gradient = jax.grad(lambda params: loss(params, x, keys).mean())
    return arithmetic.multiply_adds(gradient, params) / batch


def multiply_adds_of_jacobian(num_features):
    """The same of one Jacobian J as published, without its gradient."""
    model, params, *_ = setting(num_features, 1)
    z = jnp.zeros((1, model.z_dim))
    jacobian = arithmetic.multiply_adds(vlae.decode_and_jacobian, params, z)
    return jacobian - arithmetic.multiply_adds(vlae.decode, params, z)


def likelihoods(side, num_features, examples, num_samples):
    """A function of no arguments: log p(x) of so many examples, as each side computes it."""
    model, params, x, keys = setting(num_features, examples)
    if side == OURS:
        evaluate = jax.jit(
            functools.partial(model.apply, method='log_likelihood'), static_argnums=3
        )
        return lambda: jax.block_until_ready(evaluate({'params': params}, x, keys, num_samples))
    evaluate = jax.jit(vlae.log_likelihood, static_argnums=3)

    def one_by_one():
        for index, key in enumerate(keys):
            jax.block_until_ready(evaluate(params, x[index : index + 1], key, num_samples))

    return one_by_one


def memory(side, num_features, batch):
    """Bytes that three training steps take at their peak, of the process and by the compiler's account.

    'peak' is what the process has at its peak more than just before the first step; 'imported' and 'compiled' are what
    it had after the imports and at that time. Compiling takes several times more than the steps of either side.
    """
    jnp.zeros(1).block_until_ready()
    imported = resident('VmRSS')
    training = Training(side, num_features, batch)
    ctypes.CDLL(None).malloc_trim(0)
    pathlib.Path('/proc/self/clear_refs').write_text('5')  # the peak is now
    compiled = resident('VmRSS')
    for _ in range(3):
        training()
    found = training.program.memory_analysis()
    return {
        'peak': resident('VmHWM') - compiled,
        'imported': imported,
        'compiled': compiled,
        'temporary': found.temp_size_in_bytes,
        'arguments': found.argument_size_in_bytes,
    }


def resident(name):
    """Bytes of this process in memory: 'VmRSS' now, 'VmHWM' at the peak."""
    status = pathlib.Path('/proc/self/status').read_text()
    return 1024 * int(re.search(rf'{name}:\s+(\d+) kB', status)[1])
