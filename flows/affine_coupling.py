"""Affine coupling layer.

Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, arXiv:1605.08803. With
x = [x_1, x_2] along the last axis,

    z_1 = x_1,   z_2 = x_2 * exp(s(x_1)) + t(x_1),   log|det dz/dx| = sum s(x_1).

Here s = bound * tanh(raw / bound), so one layer scales by at most exp(bound): with an unbounded
exponential half of the published runs on the checkerboard diverge.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp


class MLPConditioner(nn.Module):
    """Dense layers with ReLU on the last axis, from which a coupling makes scale and shift.

    Weights and biases start uniform within 1/sqrt(fan_in). With zero biases and a single input, as
    for two features, all units of the first layer would have their kink at 0.
    """

    hidden: tuple[int, ...] = (200, 100)

    @nn.compact
    def __call__(self, x):
        for width in self.hidden:
            start = uniform_within(x.shape[-1] ** -0.5)
            x = nn.relu(nn.Dense(width, kernel_init=start, bias_init=start)(x))
        return x


def uniform_within(limit):
    """Initialiser with entries uniform on [-limit, limit)."""

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init


class AffineCoupling(nn.Module):
    """Condition on the first half of the last axis, scale and shift the rest.

    For vectors and for channel-last images.

    Attributes:
        conditioner: module from x_1 to features with the same leading axes. The layer after it is
            the coupling's own: dense on the last axis (for images a 1x1 convolution) and
            zero-initialised, so that the coupling starts as the identity.
        log_scale_bound: the largest absolute log-scale.
    """

    conditioner: nn.Module
    log_scale_bound: float = 2.0

    def forward_and_log_det(self, x):
        """x: (B, ..., C) -> z of the same shape and log_det (B,)."""
        x_1, x_2 = _halves(x)
        log_scale, shift = self._log_scale_and_shift(x_1, x_2.shape[-1])
        z_2 = x_2 * jnp.exp(log_scale) + shift
        return jnp.concatenate([x_1, z_2], axis=-1), _sum_per_example(log_scale)

    def inverse_and_log_det(self, z):
        """The inverse of `forward_and_log_det`, with its own log_det."""
        z_1, z_2 = _halves(z)
        log_scale, shift = self._log_scale_and_shift(z_1, z_2.shape[-1])
        x_2 = (z_2 - shift) * jnp.exp(-log_scale)
        return jnp.concatenate([z_1, x_2], axis=-1), -_sum_per_example(log_scale)

    @nn.compact
    def _log_scale_and_shift(self, x_1, width):
        output = nn.Dense(2 * width, kernel_init=nn.initializers.zeros, name='output')
        raw, shift = jnp.split(output(self.conditioner(x_1)), 2, axis=-1)
        bound = self.log_scale_bound
        return bound * jnp.tanh(raw / bound), shift


def _halves(x):
    if x.shape[-1] < 2:
        raise ValueError(
            f'a coupling needs at least 2 entries on the last axis, found shape {x.shape}.'
        )
    middle = x.shape[-1] // 2
    return x[..., :middle], x[..., middle:]


def _sum_per_example(values):
    return values.sum(axis=tuple(range(1, values.ndim)))
