"""Glow: ActNorm, 1x1 convolution and affine coupling, many times on several scales.

Kingma, Dhariwal, "Glow: Generative flow with invertible 1x1 convolutions", 2018, arXiv:1807.03039.
On each of L scales a 2x2 squeeze, K steps and a split, after which half of the channels go on:

    h = squeeze(x);   K times  h = coupling(conv1x1(actnorm(h)));   [x', y] = h
    z = (y - mu(x')) / sigma(x'),   log p(y | x') = log N(y; mu(x'), sigma(x')^2)

The Gaussian that y leaves with is learnt: with (raw, t) one 3x3 convolution of what goes on, zero at the start,
log sigma = -bound tanh(raw / bound) and mu = -t sigma. The last scale has no split, and its h is standard normal.
"""

import functools

import flax.linen as nn
import jax

from flows.actnorm import ActNorm
from flows.bijector import Bijector, WithLogDet
from flows.coupling.coupling import Coupling
from flows.image.convolution import Conv, examples_last
from flows.image.image_flow import MultiScaleFlow
from flows.image.invertible_conv import InvertibleConv
from flows.image.squeeze import Squeeze

zero_conv3x3 = functools.partial(Conv, kernel_init=nn.initializers.zeros)


class ConvNet(nn.Module):
    """A 3x3 and a 1x1 convolution with ReLUs: (B, H, W, C) -> (B, H, W, width).

    With the `zero_conv3x3` of its coupling it is the published network. The ActNorms inside that one are left out, and
    the start is that of Flax (LeCun), where the published weights have a standard deviation of 0.05.
    """

    width: int = 512

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = nn.relu(Conv(self.width).planes(examples_last(x)))
        return examples_last(nn.relu(Conv(self.width, size=1).planes(h)))


class GlowFlow(MultiScaleFlow):
    """Bijector between images (B, H, W, C) and standard normal latents (B, H * W * C).

    It is the multi-scale flow of the squeezed image: to squeeze and finish half of the channels is
    to finish half of them and squeeze the rest, in another order of the latents.

    Attributes:
        scales: L; images have a height and a width divisible by 2^L. None is padded, so that bits per
            dimension are those of the pixels that there are.
        couplings: K, the steps of each scale.
        conditioner, transformer: of each coupling, see `Coupling`; the published ones are 512
            channels wide and scale by a sigmoid.
    """

    conditioner: nn.Module = ConvNet()

    def _layers(self, scale: int) -> list[Bijector]:
        layers: list[Bijector] = []
        for _ in range(self.couplings):
            coupling = Coupling(self.conditioner.copy(), self.transformer, last=zero_conv3x3)
            layers += [ActNorm(), InvertibleConv(), coupling]
        if scale < self.scales - 1:
            layers.append(Coupling(_unchanged, self.transformer, last=zero_conv3x3))
        return layers

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From images to latents z (B, H * W * C) and log_det (B,).

        x: (B, H, W, C), H and W divisible by 2^scales.
        """
        squeezed, _ = Squeeze().forward_and_log_det(x)
        return self._through(squeezed)

    def inverse_and_log_det(self, z: jax.Array, shape: tuple[int, int, int]) -> WithLogDet:
        """z: (B, H * W * C), shape: (H, W, C) of the image -> x (B, H, W, C), log_det (B,)."""
        h, w, c = shape
        squeezed, log_det = self._back(z, (h // 2, w // 2, 4 * c))
        return Squeeze().inverse_and_log_det(squeezed)[0], log_det


def _unchanged(x: jax.Array) -> jax.Array:
    return x
