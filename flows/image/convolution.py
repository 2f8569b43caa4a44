"""3x3 and 1x1 convolutions as products of matrices, the examples along the last axis.

On a CPU, XLA's convolution loses its fast implementation where a loop holds one in another layout than channels last
(jax-ml/jax#12868). Training steps are in a loop, and such are the convolutions that autodiff makes of a gradient. Of
the layouts for products, the one with the examples last, (C, H, W, B), is the fastest: images of a few channels that
come last are moved, shifted and added a few numbers at a time.
"""

import functools
import operator

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer


def examples_last(images: jax.Array) -> jax.Array:
    """(B, H, W, C) as (C, H, W, B), and the other way round."""
    return images.swapaxes(0, -1)


class Conv(nn.Module):
    """What `nn.Conv(features, (size, size))` computes, with the same parameters: zeros around the image.

    Attributes:
        features: channels of the output.
        size: of the kernel, 3 or 1.
        kernel_init: start of the kernel.

    Raises ValueError for another size.
    """

    features: int
    size: int = 3
    kernel_init: Initializer = nn.initializers.lecun_normal()

    def __post_init__(self) -> None:
        if self.size not in (1, 3):
            raise ValueError(f'size must be 3 or 1, got {self.size}: stack convolutions for more.')
        super().__post_init__()

    def __call__(self, x: jax.Array) -> jax.Array:
        """x: (B, H, W, C) -> (B, H, W, features)."""
        return examples_last(self.planes(examples_last(x)))

    @nn.compact
    def planes(self, x: jax.Array) -> jax.Array:
        """x: (C, H, W, B) -> (features, H, W, B)."""
        shape = self.size, self.size, len(x), self.features
        kernel = self.param('kernel', self.kernel_init, shape)
        bias = self.param('bias', nn.initializers.zeros, (self.features,))
        convolve = conv3x3 if self.size == 3 else conv1x1
        return convolve(x, kernel) + jnp.expand_dims(bias, (1, 2, 3))


def conv1x1(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """out[o] = sum_c kernel[0, 0, c, o] x[c], x (C, H, W, B), kernel (1, 1, C, O)."""
    return _product(kernel[0, 0], x)


def conv3x3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """out[h, w] = sum_ij kernel[i, j]^T x[h + i - 1, w + j - 1], x (C, H, W, B), kernel (3, 3, C, O)."""
    _, _, channels, features = kernel.shape
    if channels < features:
        # What every pixel hears from the nine, (9 C, H, W, B), is less than what it would send.
        heard = jnp.concatenate([_shifted(x, 1 - n // 3, 1 - n % 3) for n in range(9)])
        return _product(kernel.reshape(9 * channels, features), heard)
    # What every pixel sends to each of the nine around it, one after the other: (9 O, H, W, B).
    sent = _product(kernel.transpose(2, 0, 1, 3).reshape(channels, 9 * features), x)
    parts = jnp.split(sent, 9)
    shifted = (_shifted(part, 1 - n // 3, 1 - n % 3) for n, part in enumerate(parts))
    return functools.reduce(operator.add, shifted)


def _product(matrix: jax.Array, x: jax.Array) -> jax.Array:
    """matrix (C, O) and x (C, H, W, B) -> (O, H, W, B)."""
    return (matrix.T @ x.reshape(len(x), -1)).reshape(-1, *x.shape[1:])


def _shifted(images: jax.Array, down: int, right: int) -> jax.Array:
    """images (C, H, W, B) moved by so many rows and columns, zeros where nothing arrives."""
    zero = jnp.zeros((), images.dtype)
    return jax.lax.pad(images, zero, [(0, 0, 0), (down, -down, 0), (right, -right, 0), (0, 0, 0)])
