"""The ways to the gradient of the MLP flow's mean loss, from the relative gradient to the whole Jacobian's autodiff.

Each is `gradient(params, x) -> pytree like params`, x (B, D), and computes no more than the gradient needs. All but
`relative` give the ordinary gradient. `amortised` has lagged inverses beside the parameters.
"""

import jax
import jax.numpy as jnp

from flows import MLPFlow, RelativeAffine
from flows.relative.lagged_affine import first_inverses


def _gradient_of(model, name):
    def mean(params, x):
        return model.apply({'params': params}, x, None, None, method='objective')[name].mean()

    return jax.grad(mean)


def relative(params, x):
    """The relative gradient, O(B D^2)."""
    return _gradient_of(MLPFlow(num_layers=len(params)), 'loss')(params, x)


def slogdet_autodiff(params, x):
    """Autodiff of the loss as it is written, slogdet of every W included, O(D^3)."""
    return _gradient_of(
        MLPFlow(num_layers=len(params), layer=RelativeAffine(gradient='ordinary')), 'loss'
    )(params, x)


def explicit_inverse(params, x):
    """Autodiff of what needs no determinant, and W^-T from an inverse, O(D^3)."""
    model = MLPFlow(num_layers=len(params), layer=RelativeAffine(gradient='ordinary'))
    data_part = _gradient_of(model, 'nll_without_log_det_W')(params, x)
    return {
        name: {**layer, 'W': layer['W'] - jnp.linalg.inv(params[name]['W']).T}
        for name, layer in data_part.items()
    }


def jacobian_autodiff(params, x):
    """Autodiff through slogdet of every example's whole Jacobian, O(B D^3)."""
    model = MLPFlow(num_layers=len(params), layer=RelativeAffine(gradient='ordinary'))

    def log_likelihood(params, row):
        def f(row):
            return model.apply({'params': params}, row[None], method='forward_and_log_det')[0][0]

        log_det = jnp.linalg.slogdet(jax.jacfwd(f)(row))[1]
        return model.base.log_prob(f(row)[None])[0] + log_det

    def mean_loss(params):
        return -jax.vmap(log_likelihood, (None, 0))(params, x).mean()

    return jax.grad(mean_loss)(params)


def amortised(params, cache, x, step, every):
    """(gradient, cache): the ordinary gradient by lagged inverses in `cache`, at most `every` steps old."""
    layer = RelativeAffine(gradient='amortised', refresh_every=every)
    model = MLPFlow(num_layers=len(params), layer=layer)

    def mean_loss(params):
        variables = {'params': params, 'cache': cache}
        terms, new = model.apply(variables, x, None, step, method='objective', mutable=['cache'])
        return terms['loss'].mean(), new['cache']

    return jax.grad(mean_loss, has_aux=True)(params)


def parameters(num_layers, width):
    """Well-conditioned float32 parameters of a flow: near the identity, from a fixed seed."""
    keys = jax.random.split(jax.random.key(0), (num_layers, 2))

    def layer(key_W, key_b):
        noise = jax.random.normal(key_W, (width, width)) * (0.3 / width**0.5)
        return {'W': jnp.eye(width) + noise, 'b': 0.1 * jax.random.normal(key_b, (width,))}

    return {f'affine_{index}': layer(*keys[index]) for index in range(num_layers)}


def amortised_cache(params, every):
    """The cache of `amortised`: inverses that are due at the first step, and then every so many steps."""
    W = tuple(layer['W'] for layer in params.values())
    return {'inverses': first_inverses(W).replace(interval=jnp.int32(every))}
