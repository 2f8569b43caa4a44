"""Multi-scale coupling flow for images of few levels, the MNIST flow of the convergence study.

Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, arXiv:1605.08803
(couplings, scales); Kingma, Dhariwal, "Glow", 2018, arXiv:1807.03039 (ActNorm, 1x1 convolutions);
Nielsen et al., "SurVAE flows", 2020, arXiv:2007.02731 (dequantisation and augmentation as layers).

    v = (x + u)/levels, u ~ U[0, 1)^D;   y = [v, a], a ~ U[0, 1)^(one channel)
    z = f(y), f a multi-scale flow
    log p(x) >= E_{u,a}[ log N(z; 0, I) + log|det df/dy| ] - D log levels

so what the model gives is a lower bound, although f is exact. With the default fields it has the
3,634,680 parameters of the published architecture.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from flows.actnorm import ActNorm
from flows.affine_coupling import AffineCoupling
from flows.bijector import Chain, zero_log_det
from flows.convolution import Conv3x3
from flows.invertible_conv import InvertibleConv
from flows.keys import fold_in
from flows.priors import Gaussian
from flows.squeeze import Slice, Squeeze
from flows.surjections import UniformAugmentation, UniformDequantisation

# What an example's key is split into.
DEQUANTISE, AUGMENT, BLOCK = 0, 1, 2


class DenseNet(nn.Module):
    """One residual dense block after a 1x1 convolution: (B, H, W, C) -> (B, H, W, width).

    Each of `depth` layers adds `growth` channels to what the next ones see; a gated 1x1
    convolution ends the block. 1x1 convolutions are dense layers on the channels.
    """

    width: int = 64
    depth: int = 8
    growth: int = 16

    @nn.compact
    def __call__(self, x):
        x = features = nn.Dense(self.width)(x)
        for _ in range(self.depth):
            h = nn.relu(nn.Dense(features.shape[-1])(features))
            h = nn.relu(Conv3x3(self.growth)(h))
            features = jnp.concatenate([features, h], axis=-1)
        a, b, c = jnp.split(nn.Dense(3 * self.width)(features), 3, axis=-1)
        return x + a + b * nn.sigmoid(c)


class MultiScaleFlow(nn.Module):
    """Bijector between images (B, H, W, C) and latents (B, H * W * C).

    At each scale `couplings` times coupling, ActNorm and 1x1 convolution; between scales 2x2
    squeeze, after which half of the channels are finished.
    """

    scales: int = 3
    couplings: int = 4
    log_scale_bound: float = 2.0
    conditioner: DenseNet = DenseNet()

    def setup(self):
        self.steps = [Chain(self._layers()) for _ in range(self.scales)]

    def _layers(self):
        layers = []
        for _ in range(self.couplings):
            coupling = AffineCoupling(self.conditioner.clone(), self.log_scale_bound)
            layers += [coupling, ActNorm(), InvertibleConv()]
        return layers

    def forward_and_log_det(self, x):
        """From images to latents z (B, H * W * C) and log_det (B,).

        x: (B, H, W, C), H and W divisible by 2^(scales - 1).
        """
        log_det, finished = zero_log_det(x), []
        for scale, steps in enumerate(self.steps):
            if scale:
                x, _ = Squeeze().forward_and_log_det(x)
                x, done = Slice(x.shape[-1] // 2).split(x)
                finished.append(done)
            x, term = steps.forward_and_log_det(x)
            log_det += term
        return jnp.concatenate([*finished, x.reshape(len(x), -1)], axis=-1), log_det

    def inverse_and_log_det(self, z, shape):
        """z: (B, H * W * C), shape: (H, W, C) of the image -> x (B, H, W, C), log_det (B,)."""
        h, w, c = shape
        log_det, finished = zero_log_det(z), []
        for _ in range(self.scales - 1):
            h, w, c = h // 2, w // 2, 2 * c
            finished.append(z[:, : h * w * c])
            z = z[:, h * w * c :]
        x = z.reshape(-1, h, w, c)
        for scale in reversed(range(self.scales)):
            x, term = self.steps[scale].inverse_and_log_det(x)
            log_det += term
            if scale:
                x = Slice(x.shape[-1]).join(x, finished.pop())
                x, _ = Squeeze().inverse_and_log_det(x)
        return x, log_det


class ImageFlow(nn.Module):
    """Density of images with whole values 0 .. levels - 1, flattened (B, D) in the order height,
    width, channel.

    Attributes:
        shape: (H, W, C) of an image; H and W divisible by 2^(scales - 1).
        levels: number of values of a pixel, 2 for binarised images.
        scales, couplings, log_scale_bound: see `MultiScaleFlow`.
        width, depth, growth: see `DenseNet`.
    """

    shape: tuple[int, int, int] = (28, 28, 1)
    levels: int = 2
    scales: int = 3
    couplings: int = 4
    log_scale_bound: float = 2.0
    width: int = 64
    depth: int = 8
    growth: int = 16

    exact = False

    def setup(self):
        conditioner = DenseNet(self.width, self.depth, self.growth, parent=None)
        self.flow = MultiScaleFlow(
            self.scales, self.couplings, self.log_scale_bound, conditioner=conditioner
        )
        self.dequantisation = UniformDequantisation(self.levels)
        self.augmentation = UniformAugmentation()

    def elbo(self, x, keys):
        """The bound on log P(x) in nats from one draw of u and a, (B,), for x (B, D)."""
        images = x.reshape(len(x), *self.shape)
        v, bound = self.dequantisation.forward_and_bound(images, fold_in(keys, DEQUANTISE))
        y, term = self.augmentation.forward_and_bound(v, fold_in(keys, AUGMENT))
        z, log_det = self.flow.forward_and_log_det(y)
        return Gaussian().log_prob(z) + log_det + bound + term

    def objective(self, x, keys, step):
        """{'loss', 'elbo'}, the loss being -elbo, in nats, (B,)."""
        del step
        elbo = self.elbo(x, keys)
        return {'loss': -elbo, 'elbo': elbo}

    def log_likelihood(self, x, keys, num_samples):
        """The log-mean-exp of `num_samples` bounds, (B,): a bound that tightens with their number."""

        def one(_, sample):
            return None, self.elbo(x, fold_in(fold_in(keys, BLOCK), sample))

        _, bounds = jax.lax.scan(one, None, jnp.arange(num_samples))
        return jax.nn.logsumexp(bounds, axis=0) - jnp.log(num_samples)

    def sample(self, key, n):
        """n images of whole values, (n, D) float32."""
        h, w, c = self.shape
        z = Gaussian().sample(key, (n, h * w * (c + 1)))
        y, _ = self.flow.inverse_and_log_det(z, (h, w, c + 1))
        images = self.dequantisation.inverse(self.augmentation.inverse(y))
        return images.reshape(n, math.prod(self.shape))
