"""Filterbank attention of DRAW.

Gregor, Danihelka, Graves, Rezende, Wierstra, "DRAW: A recurrent neural network for image
generation", 2015, arXiv:1502.04623, section 3.2. An N x N grid of Gaussian filters is laid over an
A wide and B high image, by five numbers:

    (g~_X, g~_Y, log sigma^2, log delta~, log gamma) = W(h_dec)
    g_X = (A + 1)/2 (g~_X + 1),  g_Y = (B + 1)/2 (g~_Y + 1),  delta = (max(A, B) - 1)/(N - 1) delta~
    mu_X^i = g_X + (i - N/2 - 0.5) delta,   i = 1..N
    F_X[i, a] proportional to exp(-(a - mu_X^i)^2 / (2 sigma^2)),   a = 1..A
    read(x) = gamma F_Y x F_X^T,   write(w) = F_Y^T w F_X / gamma

Each row of F_X and F_Y sums to one.
"""

import jax
import jax.numpy as jnp
from flax import struct

# exp of a larger number would make a window that no image needs, and gradients that are not finite.
LOG_BOUND = 6.0


@struct.dataclass
class Window:
    """One attention window per example.

    f_y: (B, N, height), f_x: (B, N, width), rows sum to one; gamma: (B,), the intensity.
    """

    f_y: jax.Array
    f_x: jax.Array
    gamma: jax.Array

    def read(self, images: jax.Array) -> jax.Array:
        """images: (B, height, width, C) -> glimpse (B, N, N, C)."""
        glimpse = jnp.einsum('bnh,bhwc,bmw->bnmc', self.f_y, images, self.f_x)
        return self.gamma[:, None, None, None] * glimpse

    def write(self, patch: jax.Array) -> jax.Array:
        """patch: (B, N, N, C) -> images (B, height, width, C)."""
        images = jnp.einsum('bnh,bnmc,bmw->bhwc', self.f_y, patch, self.f_x)
        return images / self.gamma[:, None, None, None]


def window(parameters: jax.Array, size: int, height: int, width: int) -> Window:
    """The window of `size` x `size` filters from its five numbers; differentiable in them.

    parameters: (B, 5), in the order g~_X, g~_Y, log sigma^2, log delta~, log gamma; zeros are a
    window over the whole image.
    """
    g_x, g_y = parameters[:, 0], parameters[:, 1]
    log_variance, log_stride, log_gamma = (
        LOG_BOUND * jnp.tanh(parameters[:, i] / LOG_BOUND) for i in (2, 3, 4)
    )
    stride = (max(height, width) - 1) / max(size - 1, 1) * jnp.exp(log_stride)
    f_x = filterbank((width + 1) / 2 * (g_x + 1), stride, log_variance, size, width)
    f_y = filterbank((height + 1) / 2 * (g_y + 1), stride, log_variance, size, height)
    return Window(f_y, f_x, jnp.exp(log_gamma))


def filterbank(
    centre: jax.Array, stride: jax.Array, log_variance: jax.Array, size: int, length: int
) -> jax.Array:
    """`size` Gaussian filters over positions 1 .. length: (B, size, length), rows sum to one.

    centre, stride, log_variance: (B,). The softmax keeps a filter finite that lies outside the
    image: it then looks at the nearest edge.
    """
    i = jnp.arange(1, size + 1, dtype=centre.dtype)
    mu = centre[:, None] + (i - size / 2 - 0.5)[None, :] * stride[:, None]
    a = jnp.arange(1, length + 1, dtype=centre.dtype)
    distance = a[None, None, :] - mu[:, :, None]
    return jax.nn.softmax(-(distance**2) / 2 * jnp.exp(-log_variance)[:, None, None], axis=-1)
