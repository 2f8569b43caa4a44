"""The affine layer y = x W + b as a Linen module; its gradient and its start can be chosen."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.linalg import lu_factor, lu_solve

from flows.bijector import WithLogDet, check_float, wide_dtype, widen
from flows.choice import choose
from flows.relative.equivariant_affine import OUTPUT_MOMENTS, equivariant_affine
from flows.relative.lagged_affine import INVERSIONS, lagged_affine, lagged_inverses
from flows.relative.relative_affine import ordinary_affine, relative_affine, relative_gaussian

GRADIENTS = ('relative', 'equivariant', 'ordinary', 'amortised')
STARTS = ('orthogonal', 'whiten')

# Added to the variances that a whitening start divides by.
EPSILON = 1e-3


class RelativeAffine(nn.Module):
    """y = x W + b with a square W, a layer for models of one's own; its width is the input's.

    Trained in reverse mode only (`jax.grad`, `jax.vjp`), under jit, vmap, scan, pmap and with any
    optax optimiser. What arrives at the optimiser for W and b is the relative gradient, M M^T times
    the ordinary one. It is no gradient of any function, so finite differences do not agree with it,
    clipping by its norm is not clipping by the gradient's, and weight decay added to it is not the
    decay of a penalty on W. For the same reason `jax.hessian` with respect to W or b returns the
    Jacobian of the relative gradient, which is no Hessian: second derivatives are those of the
    likelihood with gradient='ordinary' alone. The gradient of everything below the layer is the ordinary one. Use
    both outputs: the log-determinant's share of the gradient comes with its cotangent.

    Take `jax.grad`, not `jax.value_and_grad`, and do not return or log a value made from the
    log-determinant in a training step: the value alone is what costs O(D^3), and XLA drops it if
    nothing uses it.

    Attributes:
        use_bias: whether there is a b; parameters are W (D, D) and b (D,).
        gradient: 'relative'; 'equivariant' for the same with second moments beside it, see
            `flows.relative.equivariant_affine`; 'ordinary' for autodiff's backward rule; or 'amortised' for the
            ordinary gradient by a lagged inverse of W, see `flows.relative.lagged_affine`. It is kept in the collection
            `cache`, which then has to be mutable in training, with the step given to `forward_and_log_det`.
        refresh_every: the most steps between two inversions, for 'amortised'.
        inversion: 'lu', or 'newton_schulz' for matrix products alone, for 'amortised'.
        start: 'orthogonal', with b zero; or 'whiten', the ZCA whitening of the rows that the layer
            is initialised with, two or more: W = U (S + 1e-3)^-1/2 U^T for their covariance U S U^T,
            b centres.

    Raises:
        ValueError: for an unknown `gradient` or `start`, an input that is not (B, D) or not of
            floating-point numbers, or fewer than two rows to whiten.
    """

    use_bias: bool = True
    gradient: str = 'relative'
    refresh_every: int = 10
    inversion: str = 'lu'
    start: str = 'orthogonal'

    costly_log_det: ClassVar[bool] = True  # its value, that is: O(D^3), where a step costs O(B D^2)

    def __post_init__(self) -> None:
        choose('gradient', self.gradient, GRADIENTS)
        choose('inversion', self.inversion, INVERSIONS)
        choose('start', self.start, STARTS)
        super().__post_init__()

    @property
    def needs_step(self) -> bool:
        """Whether `forward_and_log_det` is to be told the step in training."""
        return self.gradient == 'amortised'

    @property
    def weights(self) -> jax.Array:
        """W (D, D) of an initialised layer."""
        W: jax.Array = self.get_variable('params', 'W')
        return W

    @property
    def num_features(self) -> int:
        """The width D of an initialised layer."""
        return self.weights.shape[0]

    @nn.compact
    def _parameters(self, x: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        if x.ndim != 2:
            raise ValueError(
                f'RelativeAffine takes an input of shape (B, D), got {x.shape}: '
                'flatten each example into a row.'
            )
        check_float('RelativeAffine', x)
        width, dtype = x.shape[-1], wide_dtype(x)
        W_start, b_start = nn.initializers.orthogonal(), nn.initializers.zeros
        if self.start == 'whiten' and self.is_initializing():
            W_0, b_0 = whitening(widen(x))
            W_start, b_start = (lambda *_: W_0), (lambda *_: b_0)
        W = self.param('W', W_start, (width, width), dtype)
        b = self.param('b', b_start, (width,), dtype) if self.use_bias else None
        return W, b

    def __call__(self, x: jax.Array, step: jax.Array | None = None) -> WithLogDet:
        """The same as `forward_and_log_det`."""
        return self.forward_and_log_det(x, step)

    @nn.compact
    def forward_and_log_det(
        self, x: jax.Array, step: jax.Array | None = None, V: jax.Array | None = None
    ) -> WithLogDet:
        """From x (B, D) to y (B, D) and log|det W| (B,).

        Args:
            step: () int32, for 'amortised' in training; without it the gradient is the ordinary one.
            V: (D, D), a lagged inverse that is kept elsewhere, to stand for W^-T in the ordinary gradient. ValueError
                with any other gradient.
        """
        if V is not None and self.gradient != 'ordinary':
            raise ValueError(
                'V stands for W^-T in the ordinary gradient, got it with gradient='
                f"{self.gradient!r}: leave it out, or choose gradient='ordinary'."
            )
        W, b = self._parameters(x)
        if self.gradient == 'relative':
            return relative_affine(x, W, b)
        if self.gradient == 'equivariant':
            S = self.param(OUTPUT_MOMENTS, nn.initializers.zeros, W.shape[1:], W.dtype)
            return equivariant_affine(x, W, b, S)
        if self.gradient == 'amortised':
            kept = lagged_inverses(self, (W,), step, self.refresh_every, self.inversion)
            V = None if kept is None else kept[0]
        return ordinary_affine(x, W, b) if V is None else lagged_affine(x, W, b, V)

    def gaussian_log_prob(self, x: jax.Array) -> WithLogDet:
        """log N(y; 0, I) and log|det W|, both (B,), for x (B, D), cheaper than one after the other.

        With gradient='relative' alone.
        """
        return relative_gaussian(x, *self._parameters(x))

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From y (B, D) to x (B, D) and -log|det W| (B,); its gradients are ordinary."""
        W, b = self._parameters(z)
        y = widen(z) if b is None else widen(z) - b[None]
        factors = lu_factor(W)  # serves both the solve and the log-determinant
        x = lu_solve(factors, y.T, trans=1).T
        log_det = -jnp.log(jnp.abs(jnp.diagonal(factors[0]))).sum()
        return x.astype(z.dtype), jnp.full(z.shape[:1], log_det, wide_dtype(z))


def whitening(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """W (D, D) and b (D,) with x W + b centred and of covariance S / (S + 1e-3), for rows x (N, D).

    Raises ValueError for fewer than two rows.
    """
    if len(x) < 2:
        raise ValueError(
            "start='whiten' is made from the rows that the layer is initialised with and needs "
            f'at least 2, got {len(x)}: initialise with rows of the data, or choose '
            "start='orthogonal'."
        )
    mean = x.mean(0)
    centred = x - mean[None]
    S, U = jnp.linalg.eigh(centred.T @ centred / len(x))
    W = (U / jnp.sqrt(jnp.maximum(S, 0) + EPSILON)[None]) @ U.T
    return W, -mean @ W
