"""The affine layer y = x W + b as a Linen module, with a choice of how its gradient is come by and of its start."""

import flax.linen as nn
import jax.numpy as jnp
from jax.scipy.linalg import lu_factor, lu_solve

from flows.amortised_affine import INVERSIONS, amortised_affine, first_inverses, refreshed
from flows.bijector import check_float, wide_dtype, widen
from flows.equivariant_affine import OUTPUT_MOMENTS, equivariant_affine
from flows.relative_affine import ordinary_affine, relative_affine

GRADIENTS = ('relative', 'equivariant', 'ordinary', 'amortised')
STARTS = ('orthogonal', 'whiten')

# Added to the variances that a whitening start divides by.
EPSILON = 1e-3


def check(field, value, known):
    """Raise a ValueError that lists the known values of a field."""
    if value not in known:
        raise ValueError(f'Unknown {field} {value!r}: choose one of {", ".join(known)}.')


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
            `flows.equivariant_affine`; 'ordinary' for autodiff's backward rule; or 'amortised' for the
            ordinary gradient with an inverse of W kept in the mutable collection `cache`, which then has to
            be mutable in training, with the step given to `forward_and_log_det`.
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

    def __post_init__(self):
        check('gradient', self.gradient, GRADIENTS)
        check('inversion', self.inversion, INVERSIONS)
        check('start', self.start, STARTS)
        super().__post_init__()

    @property
    def num_features(self):
        """The width D of an initialised layer."""
        return self.get_variable('params', 'W').shape[0]

    @nn.compact
    def _parameters(self, x):
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

    def __call__(self, x, step=None):
        """The same as `forward_and_log_det`."""
        return self.forward_and_log_det(x, step)

    @nn.compact
    def forward_and_log_det(self, x, step=None, V=None):
        """From x (B, D) to y (B, D) and log|det W| (B,).

        For 'amortised' in training, step: () int32; without it the gradient is the ordinary one. A given
        V (D, D), which stands for W^-T, makes the gradient amortised with it, whatever `gradient` says.
        """
        W, b = self._parameters(x)
        if V is None and self.gradient == 'amortised':
            V = self._kept_inverse(W, step)
        if V is not None:
            return amortised_affine(x, W, b, V)
        if self.gradient == 'equivariant':
            S = self.param(OUTPUT_MOMENTS, nn.initializers.zeros, W.shape[1:], W.dtype)
            return equivariant_affine(x, W, b, S)
        affine = relative_affine if self.gradient == 'relative' else ordinary_affine
        return affine(x, W, b)

    @nn.compact
    def _kept_inverse(self, W, step):
        kept = self.variable('cache', 'inverses', first_inverses, (W,))
        if step is None:
            return None
        if self.is_mutable_collection('cache'):
            kept.value = refreshed(kept.value, (W,), step, self.refresh_every, self.inversion)
        return kept.value.V[0]

    def inverse_and_log_det(self, z):
        """From y (B, D) to x (B, D) and -log|det W| (B,); its gradients are ordinary."""
        W, b = self._parameters(z)
        y = widen(z) if b is None else widen(z) - b[None]
        factors = lu_factor(W)  # serves both the solve and the log-determinant
        x = lu_solve(factors, y.T, trans=1).T
        log_det = -jnp.log(jnp.abs(jnp.diagonal(factors[0]))).sum()
        return x.astype(z.dtype), jnp.full(z.shape[:1], log_det, wide_dtype(z))


def whitening(x):
    """W (D, D) and b (D,) with x W + b centred and of covariance S / (S + 1e-3), for rows x (N, D).

    Raises ValueError for fewer than two rows.
    """
    if len(x) < 2:
        raise ValueError(
            f"start='whiten' is made from the rows that the layer is initialised with and needs at least 2, "
            f"got {len(x)}: initialise with rows of the data, or choose start='orthogonal'."
        )
    mean = x.mean(0)
    centred = x - mean[None]
    S, U = jnp.linalg.eigh(centred.T @ centred / len(x))
    W = (U / jnp.sqrt(jnp.maximum(S, 0) + EPSILON)[None]) @ U.T
    return W, -mean @ W
