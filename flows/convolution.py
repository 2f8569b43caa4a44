"""3x3 convolution as one matrix product.

XLA's convolutions lose their fast implementation in the gradient inside a loop on a CPU, and
training steps are in a loop (jax-ml/jax#12868); products of matrices keep theirs everywhere.
"""

import flax.linen as nn
import jax.numpy as jnp

SHIFTS = [(i, j) for i in range(3) for j in range(3)]


class Conv3x3(nn.Module):
    """What `nn.Conv(features, (3, 3))` computes, with the same parameters: zeros around the image.

    Attributes:
        features: channels of the output.
    """

    features: int

    @nn.compact
    def __call__(self, x):
        """x: (B, H, W, C) -> (B, H, W, features)."""
        shape = 3, 3, x.shape[-1], self.features
        kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
        bias = self.param('bias', nn.initializers.zeros, (self.features,))
        return conv3x3(x, kernel) + jnp.expand_dims(bias, (0, 1, 2))


def conv3x3(x, kernel):
    """The sum over i, j of x shifted by (i - 1, j - 1) times kernel[i, j]: (B, H, W, C) -> (B, H, W, O)."""
    _, height, width, channels = x.shape
    out = kernel.shape[-1]
    # Every pixel's contributions to its nine neighbours, side by side; then each neighbour collects its own.
    sent = x @ kernel.transpose(2, 0, 1, 3).reshape(channels, 9 * out)
    sent = jnp.pad(sent, ((0, 0), (1, 1), (1, 1), (0, 0)))
    parts = jnp.split(sent, 9, axis=-1)
    return sum(p[:, i : i + height, j : j + width] for p, (i, j) in zip(parts, SHIFTS, strict=True))
