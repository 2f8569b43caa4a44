"""Small models of the variational Laplace family, built and initialised, for their tests."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

D, H, K, B = 10, 16, 3, 7


class LinearDecoder(nn.Module):
    """f(z) = W z + b: probabilistic PCA, of which everything is known."""

    num_features: int = D

    @nn.compact
    def __call__(self, z):
        bias = nn.initializers.normal(1.0)
        kernel = nn.initializers.normal(1.0)
        return nn.Dense(self.num_features, kernel_init=kernel, bias_init=bias)(z)


class TanhDecoder(nn.Module):
    num_features: int = D

    @nn.compact
    def __call__(self, z):
        return nn.Dense(self.num_features)(nn.tanh(nn.Dense(H)(z)))


def example_keys(n=B, seed=1):
    return jax.random.split(jax.random.key(seed, impl='threefry2x32'), n)


def examples(output_dist='gaussian', n=B, seed=0, dtype=jnp.float32):
    x = 1.5 * jax.random.normal(jax.random.key(seed), (n, D), dtype)
    return (x > 0).astype(dtype) if output_dist == 'bernoulli' else x


def build(model_class, dtype=jnp.float32, **fields):
    """(model, variables) at the small sizes, every parameter of type `dtype`."""
    model = model_class(**{'num_features': D, 'z_dim': K, 'hidden_dim': H, **fields})
    return model, jax.tree.map(lambda a: jnp.asarray(a, dtype), initialise(model))


@functools.cache
def initialise(model):
    with jax.enable_x64(False):
        x, key = examples(model.output_dist), {'params': jax.random.key(2)}
        return model.init(key, x, example_keys(), jnp.int32(0), method='objective')


def log_joint(model, variables, x, z):
    """log p(x, z) of one example, x (D,), z (k,), as a function to differentiate."""

    def value(module):
        f = module.decode(z[None])
        return (module.likelihood().log_prob(x[None], f) + module.prior_log_prob(z[None]))[0]

    return model.apply(variables, method=value)


def objective(model, variables, x, keys):
    step = jnp.int32(0)
    return jax.jit(lambda v: model.apply(v, x, keys, step, method='objective'))(variables)


def posterior(model, variables, x, keys=None):
    keys = example_keys(len(x)) if keys is None else keys
    return jax.jit(lambda v: model.apply(v, x, keys, method='posterior'))(variables)


def estimate(model, variables, x, keys, num_samples, proposal='posterior'):
    arguments = (x, keys, num_samples, proposal)
    return model.apply(variables, *arguments, method='importance_estimate')


def of_log_joint(transform, model, variables):
    """Compiled function (x (B, D), z (B, k)) -> `transform` of log p(x, .) at z, by example."""

    def one(x, z):
        return transform(lambda z: log_joint(model, variables, x, z))(z)

    return jax.jit(jax.vmap(one))
