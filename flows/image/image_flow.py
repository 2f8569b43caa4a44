"""Multi-scale coupling flow for images of few levels, the MNIST flow of the convergence study.

Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, arXiv:1605.08803
(couplings, scales); Kingma, Dhariwal, "Glow", 2018, arXiv:1807.03039 (ActNorm, 1x1 convolutions);
Nielsen et al., "SurVAE flows", 2020, arXiv:2007.02731 (dequantisation and augmentation as layers).

    v = (x + u)/levels, u ~ U[0, 1)^D;   y = [v, a], a ~ U[0, 1)^(one channel)
    z = f(y), f a multi-scale flow
    log P(x) >= E_{u,a}[ log p(z) + log|det df/dy| ] - D log levels

so what the model gives is a lower bound, although f is exact. With the default fields it has the
3,634,680 parameters of the published architecture.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from flows import importance
from flows.actnorm import ActNorm
from flows.base_densities import BaseDensity, Gaussian
from flows.bijector import Bijector, Chain, WithLogDet, zero_log_det
from flows.choice import choose
from flows.coupling.coupling import Coupling
from flows.elementwise.activations import Activation
from flows.elementwise.transformers import BoundedAffine, Transformer
from flows.flow import Flow
from flows.image.convolution import Conv, examples_last
from flows.image.invertible_conv import InvertibleConv
from flows.image.squeeze import Slice, Squeeze
from flows.image.surjections import Dequantisation, UniformAugmentation, UniformDequantisation
from flows.keys import fold_in
from flows.model import LikelihoodModel, Terms

# What an example's key is split into.
DEQUANTISE, AUGMENT, DRAWS = 0, 1, 2


class DenseNet(nn.Module):
    """One residual dense block after a 1x1 convolution: (B, H, W, C) -> (B, H, W, width).

    Each of `depth` layers adds `growth` channels to what the next ones see; a gated 1x1
    convolution ends the block.
    """

    width: int = 64
    depth: int = 8
    growth: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = features = Conv(self.width, size=1).planes(examples_last(x))
        for _ in range(self.depth):
            h = nn.relu(Conv(len(features), size=1).planes(features))
            h = nn.relu(Conv(self.growth).planes(h))
            features = jnp.concatenate([features, h])
        a, b, c = jnp.split(Conv(3 * self.width, size=1).planes(features), 3)
        return examples_last(x + a + b * nn.sigmoid(c))


class MultiScaleFlow(nn.Module):
    """Bijector between images (B, H, W, C) and latents (B, H * W * C).

    At each scale `couplings` times coupling, ActNorm and 1x1 convolution; between scales 2x2
    squeeze, after which half of the channels are finished.

    Attributes:
        scales: how many; images have a height and a width divisible by 2^(scales - 1).
        couplings: at each scale.
        conditioner, transformer: of each coupling, see `Coupling`; each has a copy of the conditioner.
    """

    scales: int = 3
    couplings: int = 4
    conditioner: nn.Module = DenseNet()
    transformer: Transformer = BoundedAffine()

    def setup(self) -> None:
        self.steps = [Chain(self._layers(scale)) for scale in range(self.scales)]

    def _layers(self, scale: int) -> list[Bijector]:
        """Those of one scale; 0 is nearest the data."""
        del scale
        layers: list[Bijector] = []
        for _ in range(self.couplings):
            coupling = Coupling(self.conditioner.copy(), self.transformer)
            layers += [coupling, ActNorm(), InvertibleConv()]
        return layers

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From images to latents z (B, H * W * C) and log_det (B,).

        x: (B, H, W, C), H and W divisible by 2^(scales - 1).
        """
        return self._through(x)

    def inverse_and_log_det(self, z: jax.Array, shape: tuple[int, int, int]) -> WithLogDet:
        """z: (B, H * W * C), shape: (H, W, C) of the image -> x (B, H, W, C), log_det (B,)."""
        return self._back(z, shape)

    def _through(self, x: jax.Array) -> WithLogDet:
        log_det, finished = zero_log_det(x), []
        for scale, steps in enumerate(self.steps):
            if scale:
                x, _ = Squeeze().forward_and_log_det(x)
                x, done = Slice(x.shape[-1] // 2).split(x)
                finished.append(done)
            x, term = steps.forward_and_log_det(x)
            log_det += term
        return jnp.concatenate([*finished, x.reshape(len(x), -1)], axis=-1), log_det

    def _back(self, z: jax.Array, shape: tuple[int, int, int]) -> WithLogDet:
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


class RealImageFlow(Flow, kw_only=True):
    """Density of images of real numbers y, flattened (B, D) in the order height, width, channel.

    Attributes:
        shape: (H, W, C) of y.
        flow: f.
        first: an activation before f, which may be another one for each pixel; None for none.
    """

    shape: tuple[int, int, int]
    flow: MultiScaleFlow
    first: Activation | None = None

    @property
    def parts(self) -> Sequence[Bijector]:
        """The activation before f."""
        return () if self.first is None else (self.first,)

    @property
    def num_features(self) -> int:
        """H * W * C."""
        return math.prod(self.shape)

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From y (B, D) to z (B, D) and log|det dz/dy| (B,)."""
        log_det = zero_log_det(x)
        if self.first is not None:
            x, log_det = self.first.forward_and_log_det(x)
        z, term = self.flow.forward_and_log_det(x.reshape(len(x), *self.shape))
        return z, log_det + term

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z (B, D) to y (B, D) and log|det dy/dz| (B,)."""
        images, log_det = self.flow.inverse_and_log_det(z, self.shape)
        y = images.reshape(z.shape)
        if self.first is not None:
            y, term = self.first.inverse_and_log_det(y)
            log_det += term
        return y, log_det


class ImageFlow(LikelihoodModel):
    """Density of images with whole values 0 .. levels - 1, flattened (B, D) in the order height,
    width, channel.

    Attributes:
        shape: (H, W, C) of an image, which `flow` takes with the channels of `augmentation` added.
        flow: f.
        dequantisation: v from x; by default for the two levels of binarised images.
        augmentation: y from v.
        base: density of z.
    """

    shape: tuple[int, int, int] = (28, 28, 1)
    flow: MultiScaleFlow = MultiScaleFlow()
    dequantisation: Dequantisation = UniformDequantisation(levels=2)
    augmentation: UniformAugmentation = UniformAugmentation()
    base: BaseDensity = Gaussian()

    exact: ClassVar[bool] = False

    def elbo(self, x: jax.Array, keys: jax.Array) -> jax.Array:
        """The bound on log P(x) in nats from one draw of u and a, (B,), for x (B, D)."""
        y, bound = self.real_images(x, keys)
        z, log_det = self.flow.forward_and_log_det(y)
        return self.base.log_prob(z) + log_det + bound

    def real_images(self, x: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        """y (B, H, W, C) and -log q(y | x) in nats (B,) from x (B, D)."""
        images = x.reshape(len(x), *self.shape)
        v, bound = self.dequantisation.forward_and_bound(images, fold_in(keys, DEQUANTISE))
        y, term = self.augmentation.forward_and_bound(v, fold_in(keys, AUGMENT))
        return y, bound + term

    def whole_images(self, y: jax.Array) -> jax.Array:
        """x (B, D) from y (B, H, W, C)."""
        images = self.dequantisation.inverse(self.augmentation.inverse(y))
        return images.reshape(len(y), -1)

    @nn.nowrap
    def of_real_images(self) -> RealImageFlow:
        """The density of y; it has the parameters that are under `flow` here."""
        h, w, c = self.shape
        shape = (h, w, c + self.augmentation.channels)
        return RealImageFlow(shape=shape, flow=self.flow, base=self.base, parent=None)

    def objective(self, x: jax.Array, keys: jax.Array, step: jax.Array) -> Terms:
        """{'loss', 'elbo'}, the loss being -elbo, in nats, (B,)."""
        del step
        elbo = self.elbo(x, keys)
        return {'loss': -elbo, 'elbo': elbo}

    def log_likelihood(self, x: jax.Array, keys: jax.Array, num_samples: int) -> jax.Array:
        """The log-mean-exp of `num_samples` bounds, (B,): a bound that tightens with their number."""
        return self.importance_estimate(x, keys, num_samples).log_likelihood

    def importance_estimate(
        self, x: jax.Array, keys: jax.Array, num_samples: int, proposal: str = 'posterior'
    ) -> importance.Estimate:
        """`importance.Estimate` of log P(x) from `num_samples` draws of u and a; they are the only proposal."""
        choose('proposal', proposal, ('posterior',))
        draws = fold_in(keys, DRAWS)

        def log_weights(block: jax.Array, size: int) -> jax.Array:
            def one(_: None, sample: jax.Array) -> tuple[None, jax.Array]:
                return None, self.elbo(x, fold_in(draws, sample))

            return jax.lax.scan(one, None, block * size + jnp.arange(size))[1]

        return importance.estimate(log_weights, num_samples)

    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """n images of whole values, (n, D) float32."""
        h, w, c = self.shape
        shape = (h, w, c + self.augmentation.channels)
        z = self.base.sample(key, (n, math.prod(shape)))
        y, _ = self.flow.inverse_and_log_det(z, shape)
        return self.whole_images(y)
