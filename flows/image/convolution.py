"""3x3 convolution as one product of matrices.

On a CPU, XLA's convolution loses its fast implementation where a loop holds one in another layout
than channels last (jax-ml/jax#12868). Training steps are in a loop, and such are the convolutions
that autodiff makes of a gradient.
"""

import functools
import operator

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer


class Conv3x3(nn.Module):
    """What `nn.Conv(features, (3, 3))` computes, with the same parameters: zeros around the image.

    Attributes:
        features: channels of the output.
        kernel_init: start of the kernel.
    """

    features: int
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x: (B, H, W, C) -> (B, H, W, features)."""
        shape = 3, 3, x.shape[-1], self.features
        kernel = self.param('kernel', self.kernel_init, shape)
        bias = self.param('bias', nn.initializers.zeros, (self.features,))
        return conv3x3(x, kernel) + jnp.expand_dims(bias, (0, 1, 2))


def conv3x3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """out[h, w] = sum_ij x[h + i - 1, w + j - 1] kernel[i, j], x (B, H, W, C), kernel (3, 3, C, O)."""
    _, _, channels, features = kernel.shape
    if channels < features:
        # What every pixel hears from the nine, (B, H, W, 9 C), is less than what it would send.
        heard = jnp.concatenate([_shifted(x, 1 - n // 3, 1 - n % 3) for n in range(9)], axis=-1)
        return heard @ kernel.reshape(9 * channels, features)
    # What every pixel sends to each of the nine around it, side by side: (B, H, W, 9 O).
    sent = x @ kernel.transpose(2, 0, 1, 3).reshape(channels, 9 * features)
    parts = jnp.split(sent, 9, axis=-1)
    shifted = (_shifted(part, 1 - n // 3, 1 - n % 3) for n, part in enumerate(parts))
    return functools.reduce(operator.add, shifted)


def _shifted(images: jax.Array, down: int, right: int) -> jax.Array:
    """images (B, H, W, C) moved by so many rows and columns, zeros where nothing arrives."""
    zero = jnp.zeros((), images.dtype)
    return jax.lax.pad(images, zero, [(0, 0, 0), (down, -down, 0), (right, -right, 0), (0, 0, 0)])
