"""Newton's equation for log p(x, z) in z, and the precision of a Laplace approximation.

With f(z) the decoder's output, J = df/dz, r = d log p(x | f)/df and C = -d^2 log p(x | f)/df^2
(diagonal), a piecewise linear f gives exactly

    gradient  g = J^T r - z            precision  P = I + J^T C J = -d^2 log p(x, z)/dz^2

J, (D, k) for each example, is never kept. For a ReLU network J^T = T W with T (k, h) and the output
kernel W (h, D). If C is a number c, log p(x | z) is quadratic in the last hidden layer, where
J^T C J = c T (W W^T) T^T: with W W^T and x W^T, made once a batch, D is not met again. Another decoder
is differentiated forward, all k columns at a time. Either way a group of examples follows another,
few enough for their matrices to stay in a processor's cache.

A step's direction d = P^-1 g needs the entries of P only to factor it, and no derivative of the
factor: it is the root of the slope q'(d) = g - P d, and one more of Newton's steps from the root has
the root's value, to rounding, and its derivative. That costs a few passes of the decoder instead of k.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import struct

from vaes import mlp
from vaes.cholesky import inverse_cholesky, solve
from vaes.distributions import Likelihood
from vaes.groups import map_groups
from vaes.tangent_products import gram, gram_product, weighted_product

VALUES_AT_A_TIME = 2**20  # of the Jacobian, of all examples together: 4 MiB in float32

LINE_SEARCH = (*(0.5**i for i in range(10)), 0.0)


class Expansion(Protocol):
    """log p(x, z + d) to second order in d, about one z for each example of a batch."""

    def gradient(self) -> jax.Array:
        """g (B, k)."""
        ...

    def slope(self, d: jax.Array) -> jax.Array:
        """g - P d (B, k) for d (B, k), by products with J and J^T."""
        ...

    def precision(self) -> jax.Array:
        """P (B, k, k); ValueError if the decoder does not allow forward-mode differentiation."""
        ...


def expansion(
    decoder: Any, variables: Any, likelihood: Likelihood, x: jax.Array
) -> Callable[[jax.Array], Expansion]:
    """Function z (B, k) -> `Expansion` for an unbound Linen decoder and x (B, D)."""
    if not isinstance(decoder, mlp.Decoder):
        return lambda z: SmoothExpansion(decoder, variables, likelihood, x, z)
    return _of_relu_network(decoder, variables, likelihood, x)


def _of_relu_network(
    decoder: Any, variables: Any, likelihood: Likelihood, x: jax.Array
) -> Callable[[jax.Array], Expansion]:
    kernel, bias = decoder.apply(variables, method='output_weights')
    curvature = likelihood.curvature(bias)
    if curvature.ndim:
        return lambda z: ReluExpansion(decoder, variables, likelihood, x, z)
    score = likelihood.score(x, jnp.broadcast_to(bias, x.shape)) @ kernel.T
    scaled_gram = curvature * gram(kernel)

    def expand(z: jax.Array) -> Expansion:
        on = decoder.apply(variables, z, method='pieces')
        return QuadraticExpansion(decoder, variables, score, scaled_gram, z, on)

    return expand


def newton_direction(local: Expansion) -> jax.Array:
    """P^-1 g (B, k), with a derivative that does not go through the entries of P."""
    still = jax.lax.stop_gradient(local)
    factor = inverse_cholesky(still.precision())
    root = solve(factor, still.gradient())
    return root + solve(factor, local.slope(root))


def best_step(
    log_joint: Callable[[jax.Array], jax.Array], z: jax.Array, direction: jax.Array
) -> jax.Array:
    """z + a d with the best of the steps a = 1, 1/2 .. 2^-9, 0 by log_joint, for each example.

    log_joint: (n, B, k) -> (n, B). No gradient goes through the choice of a.
    """
    scales = jnp.asarray(LINE_SEARCH, z.dtype)
    values = log_joint(z[None] + scales[:, None, None] * direction[None])
    best = jnp.argmax(jnp.nan_to_num(values, nan=-jnp.inf), axis=0)
    return z + scales[best][:, None] * direction


@struct.dataclass
class QuadraticExpansion:
    """Of a ReLU network and log p(x | z) = s^T h_2 - h_2^T G h_2 / 2 + a constant.

    Attributes:
        decoder, variables: the network.
        score: s (B, h), d log p(x | f)/df W^T where h_2 = 0.
        gram: G = c W W^T (h, h).
        z: (B, k).
        on: which hidden units are on there.
    """

    decoder: mlp.Decoder = struct.field(pytree_node=False)
    variables: Any
    score: jax.Array
    gram: jax.Array
    z: jax.Array
    on: mlp.Pieces

    def gradient(self) -> jax.Array:
        """g (B, k)."""
        return self.slope(jnp.zeros_like(self.z))

    def slope(self, d: jax.Array) -> jax.Array:
        """g - P d (B, k) for d (B, k)."""

        def last_hidden(z: jax.Array) -> Any:
            return self.decoder.apply(self.variables, z, self.on, method='last_hidden')

        h_2, pull_back = jax.vjp(last_hidden, self.z + d)
        return pull_back(self.score - h_2 @ self.gram)[0] - self.z - d

    def precision(self) -> jax.Array:
        """P (B, k, k)."""

        def of_group(rows: jax.Array) -> jax.Array:
            return gram_product(_tangents(self, self.on, rows), self.gram)

        return _one_plus(of_group, self.z, len(self.gram))


@struct.dataclass
class SmoothExpansion:
    """Of any decoder, by forward-mode differentiation; P is that of Gauss and Newton.

    Attributes:
        decoder, variables, likelihood: an unbound module, its variables, what its output means.
        x: (B, D).
        z: (B, k).
    """

    decoder: Any = struct.field(pytree_node=False)
    variables: Any
    likelihood: Likelihood
    x: jax.Array
    z: jax.Array

    def decode(self, z: jax.Array) -> Any:
        """f(z), of D columns or several for each."""
        return self.decoder.apply(self.variables, z)

    def gradient(self) -> jax.Array:
        """g (B, k)."""
        f, _, pull_back = _linearised(self.decode, self.z)
        return pull_back(self.likelihood.score(self.x, f)) - self.z

    def slope(self, d: jax.Array) -> jax.Array:
        """g - P d (B, k) for d (B, k)."""

        # What has as many columns as f is computed again for the backward pass.
        @partial(jax.checkpoint, prevent_cse=False)
        def slope(d: jax.Array) -> jax.Array:
            f, push_forward, pull_back = _linearised(self.decode, self.z)
            predicted = self.likelihood.curvature(f) * push_forward(d)
            return pull_back(self.likelihood.score(self.x, f) - predicted) - self.z - d

        return slope(d)

    def precision(self) -> jax.Array:
        """P (B, k, k)."""

        @jax.checkpoint
        def of_group(rows: jax.Array) -> jax.Array:
            f, columns = _value_and_columns(self.decode, self.z[rows])
            weighted = columns * jnp.broadcast_to(self.likelihood.curvature(f), f.shape)[None]
            return jnp.einsum('kbd,lbd->bkl', weighted, columns)

        return _one_plus(of_group, self.z, jax.eval_shape(self.decode, self.z).shape[-1])


@struct.dataclass
class ReluExpansion(SmoothExpansion):
    """Of a ReLU network and any likelihood."""

    def precision(self) -> jax.Array:
        """P (B, k, k)."""
        kernel, _ = self.decoder.apply(self.variables, method='output_weights')
        on = self.decoder.apply(self.variables, self.z, method='pieces')
        curvature = self.likelihood.curvature(self.decode(self.z))

        def of_group(rows: jax.Array) -> jax.Array:
            return weighted_product(_tangents(self, on, rows), kernel, curvature[rows])

        return _one_plus(of_group, self.z, max(kernel.shape))


def _tangents(of: QuadraticExpansion | ReluExpansion, on: mlp.Pieces, rows: jax.Array) -> jax.Array:
    """T (n, k, h) of some examples; the backward pass keeps nothing but which units are on."""

    @jax.checkpoint
    def tangents(on: mlp.Pieces) -> Any:
        return of.decoder.apply(of.variables, on, method='tangents')

    return tangents(jax.tree.map(lambda a: a[rows], on))


def _one_plus(of_group: Callable[[jax.Array], jax.Array], z: jax.Array, width: int) -> jax.Array:
    """I + of_group(row numbers), (B, k, k), in groups for which k x `width` values are at hand."""
    size, k = z.shape
    product = map_groups(of_group, size, max(1, VALUES_AT_A_TIME // (k * width)))
    return jnp.eye(k, dtype=product.dtype)[None] + product


def _linearised(
    function: Callable[[jax.Array], Any], z: jax.Array
) -> tuple[jax.Array, Callable[[jax.Array], jax.Array], Callable[[jax.Array], jax.Array]]:
    """f(z) and the functions v -> J v and w -> J^T w."""
    f, push_forward = jax.linearize(function, z)
    pull_back = jax.linear_transpose(push_forward, z)
    return f, push_forward, lambda w: pull_back(w)[0]


def _value_and_columns(
    function: Callable[[jax.Array], Any], z: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """f(z) (n, D) and its Jacobian's columns (k, n, D), for a function of each example alone."""
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
