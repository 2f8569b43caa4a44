"""The affine layer y = x W + b, trained by the relative gradient.

Gresele, Fissore, Javaloy, Schoelkopf, Hyvarinen, 'Relative gradient optimization of the Jacobian
term in unsupervised deep learning', 2020, arXiv:2006.15090.

With M = [[W, 0], [b, 1]] the layer reads [y, 1] = [x, 1] M. The relative gradient is M M^T times
the ordinary gradient of the whole per-layer term, log|det W| included. With delta = dl/dy (rows)
and s = sum_i dl/d(log|det W|)_i

    dW = (y W^T)^T delta + s W,    db = (1 + y b^T)^T delta + s b,    dx = delta W^T,

for M^T [x, 1]^T = [y, 1]^T, and M M^T applied to the gradient [[W^-T], [0]] of log|det W| is [[W],
[b]]. Nothing here costs more than O(B D^2), where the ordinary gradient needs W^-T at O(D^3).
Without bias, y = x W and the term of b falls away.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.linalg import lu_factor, lu_solve

from flows.bijector import wide_dtype, widen


def ordinary_affine(x, W, b=None):
    """y = x W + b and log|det W| once per example, differentiated by autodiff.

    Args:
        x: (B, D); products run in its dtype.
        W: (D, D).
        b: (D,), or None for no bias.

    Returns:
        y (B, D) in the dtype of x, and log|det W| (B,) in float32 or wider.
    """
    y = x @ W.astype(x.dtype)
    if b is not None:
        y = y + b.astype(x.dtype)[None]
    return y, jnp.full(x.shape[:1], jnp.linalg.slogdet(widen(W))[1], wide_dtype(x))


@jax.custom_vjp
def relative_affine(x, W, b=None):
    """`ordinary_affine` in value, with the relative gradient of W and b as its backward pass.

    The backward pass costs O(B D^2); the gradient of x is the ordinary one. Reverse mode only:
    forward mode (`jax.jvp`, `jax.jacfwd`) raises TypeError. The value of log|det W| costs O(D^3)
    wherever it is used; a jitted step that uses only the gradient leaves it out.
    """
    return ordinary_affine(x, W, b)


def _relative_forward(x, W, b):
    y, log_det = ordinary_affine(x, W, b)
    # Under a vmap over examples alone, log_det would be one value for all of them and the backward
    # pass would count its cotangent once per example. This ties it to the example; XLA drops it.
    log_det = jnp.where(y[:, 0] == y[:, 0], log_det, log_det)
    return (y, log_det), (y, W, b)


def _relative_backward(residuals, cotangents):
    y, W, b = residuals
    delta, log_det_bar = cotangents
    s = log_det_bar.sum().astype(W.dtype)
    W_T = W.T.astype(y.dtype)
    dx = delta @ W_T
    dW = jnp.matmul((y @ W_T).T, delta, preferred_element_type=W.dtype) + s * W
    if b is None:
        return dx, dW, None
    y_b = (y * b.astype(y.dtype)[None]).sum(-1, keepdims=True)
    db = ((1 + y_b) * delta).sum(0, dtype=b.dtype) + s * b
    return dx, dW, db


relative_affine.defvjp(_relative_forward, _relative_backward)

BACKWARD_RULES = {'relative': relative_affine, 'ordinary': ordinary_affine}


def backward_rule(name):
    """The affine function with the named backward rule; ValueError for an unknown name."""
    if name not in BACKWARD_RULES:
        known = ', '.join(BACKWARD_RULES)
        raise ValueError(f'Unknown gradient {name!r}: choose one of {known}.')
    return BACKWARD_RULES[name]


class RelativeAffine(nn.Module):
    """y = x W + b with a square W, a layer for models of one's own; its width is the input's.

    Trained in reverse mode only (`jax.grad`, `jax.vjp`), under jit, vmap, scan, pmap and with any
    optax optimiser. What arrives at the optimiser for W and b is the relative gradient, M M^T times
    the ordinary one. It is no gradient of any function, so finite differences do not agree with it,
    clipping by its norm is not clipping by the gradient's, and weight decay added to it is not the
    decay of a penalty on W. The gradient of everything below the layer is the ordinary one. Use
    both outputs: the log-determinant's share of the gradient comes with its cotangent.

    Take `jax.grad`, not `jax.value_and_grad`, and do not return or log a value made from the
    log-determinant in a training step: the value alone is what costs O(D^3), and XLA drops it if
    nothing uses it.

    Attributes:
        use_bias: whether there is a b; parameters are W (D, D), orthogonal at first, and b (D,),
            zero at first.
        gradient: 'relative', or 'ordinary' for the same layer with autodiff's backward rule.

    Raises:
        ValueError: for an unknown `gradient`, or an input that is not (B, D).
    """

    use_bias: bool = True
    gradient: str = 'relative'

    def __post_init__(self):
        backward_rule(self.gradient)
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
        width, dtype = x.shape[-1], wide_dtype(x)
        W = self.param('W', nn.initializers.orthogonal(), (width, width), dtype)
        b = self.param('b', nn.initializers.zeros, (width,), dtype) if self.use_bias else None
        return W, b

    def __call__(self, x):
        """The same as `forward_and_log_det`."""
        return self.forward_and_log_det(x)

    def forward_and_log_det(self, x):
        """From x (B, D) to y (B, D) and log|det W| (B,)."""
        W, b = self._parameters(x)
        return backward_rule(self.gradient)(x, W, b)

    def inverse_and_log_det(self, z):
        """From y (B, D) to x (B, D) and -log|det W| (B,); its gradients are ordinary."""
        W, b = self._parameters(z)
        y = widen(z) if b is None else widen(z) - b[None]
        factors = lu_factor(W)  # serves both the solve and the log-determinant
        x = lu_solve(factors, y.T, trans=1).T
        log_det = -jnp.log(jnp.abs(jnp.diagonal(factors[0]))).sum()
        return x.astype(z.dtype), jnp.full(z.shape[:1], log_det, wide_dtype(z))
