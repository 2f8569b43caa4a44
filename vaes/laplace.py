"""The Newton system of log p(x, z) in z, whose solution is a Laplace approximation's.

With f(z) the decoder's output, J = df/dz, r = d log p(x | f)/df and C = -d^2 log p(x | f)/df^2
(diagonal), a piecewise linear f gives exactly

    gradient  g = J^T r - z            precision  P = I + J^T C J = -d^2 log p(x, z)/dz^2

J, (D, k) for each example, is never kept. For a ReLU network J^T = T W with T (k, h) and the output
kernel W (h, D): if C is a number, J^T C J = C T (W W^T) T^T, whose middle is computed once a batch;
else the sum over outputs runs in slices. Another decoder is differentiated forward, k columns at a
time for a group of examples.
"""

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from vaes import mlp
from vaes.groups import map_groups

TANGENTS = 'tangents'  # what is worth keeping for the backward pass; the rest is computed again
KEEP_TANGENTS = jax.checkpoint_policies.save_only_these_names(TANGENTS)
VALUES_AT_A_TIME = 2**22  # of the Jacobian, of all examples together: 16 MiB in float32


def newton_system(decoder, variables, likelihood):
    """Function (x (B, D), z (B, k)) -> (g (B, k), P (B, k, k)) for an unbound Linen decoder.

    Raises ValueError (when called) if the decoder does not allow forward-mode differentiation.
    """
    if isinstance(decoder, mlp.Decoder):
        return _relu_system(decoder, variables, likelihood)
    return _forward_mode_system(decoder, variables, likelihood)


def _relu_system(decoder, variables, likelihood):
    kernel = decoder.apply(variables, method='output_kernel')
    gram = kernel @ kernel.T

    def system(x, z):
        f, tangents = decoder.apply(variables, z, method='tangents')
        tangents = checkpoint_name(tangents, TANGENTS)
        pulled_back = jnp.einsum('bkh,bh->bk', tangents, likelihood.score(x, f) @ kernel.T)
        curvature = likelihood.curvature(f)
        if curvature.ndim == 0:
            product = curvature * gram_product(tangents, gram)
        else:
            product = weighted_product(tangents, kernel, curvature)
        return pulled_back - z, _identity_like(product) + product

    return system


@jax.custom_vjp
def gram_product(tangents, gram):
    """T G T^T for T (B, k, h) and a symmetric G (h, h): (B, k, k).

    The backward pass uses the symmetry and keeps nothing besides the arguments.
    """
    return jnp.einsum('bkh,blh->bkl', tangents @ gram, tangents)


def _gram_product_forward(tangents, gram):
    return gram_product(tangents, gram), (tangents, gram)


def _gram_product_backward(saved, cotangent):
    tangents, gram = saved
    symmetric = 0.5 * (cotangent + jnp.swapaxes(cotangent, -1, -2))
    product = symmetric @ tangents
    # As one matrix product: with two axes summed over, XLA on the CPU falls back to plain loops.
    rows, columns = (a.reshape(-1, a.shape[-1]) for a in (tangents, product))
    return 2.0 * (product @ gram), rows.T @ columns


gram_product.defvjp(_gram_product_forward, _gram_product_backward)


def weighted_product(tangents, kernel, curvature):
    """T W diag(c) W^T T^T for T (B, k, h), W (h, D), c (B, D): (B, k, k), slice by slice of D."""
    batch, k, hidden = tangents.shape
    size = kernel.shape[1]
    count = -(-batch * k * size // VALUES_AT_A_TIME)
    width = -(-size // count)
    surplus = ((0, 0), (0, count * width - size))  # zeros add nothing to the sum
    kernels = jnp.pad(kernel, surplus).reshape(hidden, count, width).swapaxes(0, 1)
    curvatures = jnp.pad(curvature, surplus).reshape(batch, count, width).swapaxes(0, 1)

    def add(total, of_slice):
        kernel, curvature = of_slice
        rows = tangents @ kernel
        return total + jnp.einsum('bkd,bld->bkl', rows * curvature[:, None], rows), None

    nothing = jnp.zeros((batch, k, k), tangents.dtype)
    return jax.lax.scan(jax.checkpoint(add), nothing, (kernels, curvatures))[0]


def _forward_mode_system(decoder, variables, likelihood):
    def system_of_group(x, z):
        f, columns = _value_and_columns(lambda inputs: decoder.apply(variables, inputs), z)
        pulled_back = jnp.einsum('kbd,bd->bk', columns, likelihood.score(x, f))
        weighted = columns * jnp.broadcast_to(likelihood.curvature(f), f.shape)[None]
        product = jnp.einsum('kbd,lbd->bkl', weighted, columns)
        return pulled_back - z, _identity_like(product) + product

    system_of_group = jax.checkpoint(system_of_group)

    def system(x, z):
        group = max(1, VALUES_AT_A_TIME // (x.shape[-1] * z.shape[-1]))
        return map_groups(lambda rows: system_of_group(x[rows], z[rows]), len(z), group)

    return system


def _value_and_columns(function, z):
    """f(z) (B, D) and its Jacobian's columns (k, B, D), for a function of each example alone."""
    directions = jnp.eye(z.shape[-1], dtype=z.dtype)
    try:
        f, push_forward = jax.linearize(function, z)
        return f, jax.vmap(lambda d: push_forward(jnp.broadcast_to(d, z.shape)))(directions)
    except TypeError as error:
        if 'custom_vjp' not in str(error):
            raise
        raise ValueError(
            'The decoder of a Laplace autoencoder must allow forward-mode differentiation; this one '
            'has a layer with a reverse-mode rule of its own (custom_vjp), such as a relative '
            'gradient; use an ordinary layer there.'
        ) from error


def _identity_like(matrices):
    return jnp.broadcast_to(jnp.eye(matrices.shape[-1], dtype=matrices.dtype), matrices.shape)
