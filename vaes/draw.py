"""DRAW, a recurrent variational autoencoder that paints in steps, and the three variants of the
convergence study.

Gregor, Danihelka, Graves, Rezende, Wierstra, "DRAW: A recurrent neural network for image
generation", 2015, arXiv:1502.04623. With c_0 = 0 and for t = 1..T,

    x^_t  = x - sigmoid(o(c_{t-1}))
    r_t   = read(x, x^_t, h_dec_{t-1})
    h_enc_t = LSTM_enc(h_enc_{t-1}, [r_t, h_dec_{t-1}])
    z_t   ~ q(z_t | h_enc_t) = N(mu_t, diag exp(l_t)),   prior N(0, I)
    h_dec_t = LSTM_dec(h_dec_{t-1}, z_t)
    c_t   = c_{t-1} + write(h_dec_t)
    log p(x | z) = log Bernoulli(x; o(c_T))

o is the identity in the paper; the study puts a dense layer there (`observation_layer`), and here
it is part of x^ too, so that x^ is the true residual. Variants: `read_error=False` (DRAW2) reads x
only, `accumulate=False` (DRAW3) replaces the canvas instead of adding to it, DRAW4 does both.
Parameters as published, with the default fields: 3,262,304 for DRAW and DRAW3, 2,459,488 for DRAW2
and DRAW4.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from flows import keys as example_keys
from flows.base_densities import standard_normal_log_prob
from flows.initialisers import uniform_within
from flows.model import Terms
from vaes.attention import Window, window
from vaes.convergence_vae import GaussianHead
from vaes.distributions import (
    BernoulliLikelihood,
    Likelihood,
    diagonal_kl,
    draw_noise,
    gaussian_log_prob,
)
from vaes.latent_variable_model import LATENT, LatentVariableModel

State = tuple[jax.Array, jax.Array]  # h and cell of an LSTM, each (B, hidden)


class Gates(nn.Module):
    """[x, y] W + b of a concatenation, whose product with x can be made once for many y."""

    num_inputs: int
    num_outputs: int
    within: float

    def setup(self) -> None:
        start = uniform_within(self.within)
        self.kernel = self.param('kernel', start, (self.num_inputs, self.num_outputs))
        self.bias = self.param('bias', start, (self.num_outputs,))

    def product(self, x: jax.Array) -> jax.Array:
        """x (B, any), the first part -> its product (B, num_outputs)."""
        return x @ self.kernel[: x.shape[-1]]

    def __call__(self, y: jax.Array, product: jax.Array | float = 0.0) -> jax.Array:
        """y (B, any), the part after x, and the product of x -> (B, num_outputs)."""
        return product + y @ self.kernel[self.num_inputs - y.shape[-1] :] + self.bias[None]


class LSTM(nn.Module):
    """One step of an LSTM of `num_inputs` inputs; weights and biases start uniform within 1/sqrt(hidden)."""

    num_inputs: int
    hidden: int

    def setup(self) -> None:
        self.input = Gates(self.num_inputs, 4 * self.hidden, self.hidden**-0.5)
        self.recurrent = Gates(self.hidden, 4 * self.hidden, self.hidden**-0.5)

    def constant(self, x: jax.Array) -> jax.Array:
        """What the first inputs x (B, any) add to the gates, where all steps have the same x."""
        return self.input.product(x)

    def __call__(self, state: State, x: jax.Array, constant: jax.Array | float = 0.0) -> State:
        """state: (h, cell), each (B, hidden); x: (B, any), the inputs after those of `constant`."""
        h, cell = state
        i, f, g, o = jnp.split(self.input(x, constant) + self.recurrent(h), 4, axis=-1)
        cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * nn.tanh(g)
        return nn.sigmoid(o) * nn.tanh(cell), cell


class DRAW(LatentVariableModel, kw_only=True):
    """DRAW for images with values in [0, 1], flattened (B, D) in the order height, width, channel.

    Attributes:
        shape: (H, W, C) of an image.
        hidden: width of both LSTMs.
        latent_dim: size of z_t.
        num_steps: T.
        read_error: read x^ beside x.
        accumulate: add to the canvas; otherwise each step replaces it.
        observation_layer: a dense layer between the last canvas and the logits.
        attention: None to read and write whole images, or N for windows of N x N filters.
        kl, kl_warmup_steps: see `LatentVariableModel`.
    """

    shape: tuple[int, int, int] = (28, 28, 1)
    hidden: int = 256
    latent_dim: int = 32
    num_steps: int = 10
    read_error: bool = True
    accumulate: bool = True
    observation_layer: bool = True
    attention: int | None = None
    kl: str = 'analytic'

    refinable: ClassVar[bool] = False

    def setup(self) -> None:
        num_features = math.prod(self.shape)
        size_of_view = self.attention**2 * self.shape[-1] if self.attention else num_features
        self.encoder = LSTM((1 + self.read_error) * size_of_view + self.hidden, self.hidden)
        self.head = GaussianHead(self.latent_dim)
        self.decoder = LSTM(self.latent_dim, self.hidden)
        if self.attention:
            self.read_window = nn.Dense(5)
            self.write_window = nn.Dense(5)
        self.patch = nn.Dense(size_of_view)
        if self.observation_layer:
            self.observation = nn.Dense(num_features)

    def _logits(self, canvas: jax.Array) -> jax.Array:
        return self.observation(canvas) if self.observation_layer else canvas

    def _read(self, x: jax.Array, canvas: jax.Array, h_dec: jax.Array) -> list[jax.Array]:
        """The parts of r_t that differ from step to step, each (B, any), from x (B, D).

        Under attention, whose windows move, these are all; without it x itself is not among them.
        """
        images = [x - nn.sigmoid(self._logits(canvas))] if self.read_error else []
        if not self.attention:
            return images
        view = self._window(self.attention, self.read_window(h_dec))
        glimpses = [view.read(image.reshape(-1, *self.shape)) for image in (x, *images)]
        return [glimpse.reshape(len(x), -1) for glimpse in glimpses]

    def _write(self, h_dec: jax.Array) -> jax.Array:
        """What one step paints, (B, D)."""
        patch = self.patch(h_dec)
        if not self.attention:
            return patch
        n = self.attention
        images = self._window(n, self.write_window(h_dec)).write(
            patch.reshape(len(h_dec), n, n, self.shape[-1])
        )
        return images.reshape(len(h_dec), -1)

    def _window(self, size: int, parameters: jax.Array) -> Window:
        return window(parameters, size, *self.shape[:2])

    def _paint(self, canvas: jax.Array, dec: State, z: jax.Array) -> tuple[jax.Array, State]:
        """The generative half of a step: the new canvas and decoder state."""
        dec = self.decoder(dec, z)
        written = self._write(dec[0])
        return (canvas + written if self.accumulate else written), dec

    def _start(self, size: int, dtype: jnp.dtype) -> tuple[jax.Array, State, State]:
        """Canvas, decoder state and encoder state before the first step, all zero."""
        h = jnp.zeros((size, self.hidden), dtype)
        return jnp.zeros((size, math.prod(self.shape)), dtype), (h, h), (h, h)

    def infer(
        self, x: jax.Array, noise: jax.Array
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
        """All steps on x (B, D) with noise (T, B, latent_dim).

        Returns the logits (B, D), and z_t, mean and log-variance of q, each (T, B, latent_dim).
        """

        def step(model: 'DRAW', state: Any, noise: jax.Array) -> Any:
            canvas, dec, enc = state
            read = model._read(x, canvas, dec[0])
            enc = model.encoder(enc, jnp.concatenate([*read, dec[0]], axis=-1), constant)
            q = model.head(enc[0])
            z = q.mean + jnp.exp(0.5 * q.log_variance) * noise
            canvas, dec = model._paint(canvas, dec, z)
            return (canvas, dec, enc), (z, q.mean, q.log_variance)

        constant = 0.0 if self.attention else self.encoder.constant(x)
        state, draws = _scan(step)(self, self._start(len(x), x.dtype), noise)
        return self._logits(state[0]), draws

    def posterior(self, x: jax.Array, keys: jax.Array) -> None:
        """Nothing: every step of q depends on the draws before it."""
        del x, keys

    def bound_terms(self, x: jax.Array, keys: jax.Array, training: bool = False) -> Terms:
        """'reconstruction_error' and 'kl', summed over steps, of one draw, (B,)."""
        del training
        logits, (z, mean, log_variance) = self.infer(x, self._noise(keys, x.dtype))
        if self.kl == 'analytic':
            kl = diagonal_kl(mean, log_variance)
        else:
            kl = gaussian_log_prob(z, mean, log_variance) - standard_normal_log_prob(z)
        error = -self.likelihood().log_prob(x, logits)
        return {'reconstruction_error': error, 'kl': kl.sum(axis=0)}

    def log_weights(
        self, x: jax.Array, posterior: None, keys: jax.Array, num_samples: int
    ) -> jax.Array:
        """log p(x, z) - log q(z | x) of `num_samples` draws, (num_samples, B), from `keys` (B,)."""
        del posterior
        like = jnp.zeros((len(x), self.latent_dim), x.dtype)
        noise = draw_noise(keys, (self.num_steps, num_samples), like)
        noise = noise.reshape(self.num_steps, -1, self.latent_dim)
        rows = jnp.tile(x, (num_samples, 1))
        logits, (z, mean, log_variance) = self.infer(rows, noise)
        log_ratio = gaussian_log_prob(z, mean, log_variance) - standard_normal_log_prob(z)
        log_w = self.likelihood().log_prob(rows, logits) - log_ratio.sum(axis=0)
        return log_w.reshape(num_samples, len(x))

    def _noise(self, keys: jax.Array, dtype: jnp.dtype) -> jax.Array:
        """The noise of one draw, (T, B, latent_dim), from keys (B,)."""
        like = jnp.zeros((len(keys), self.latent_dim), dtype)
        return draw_noise(example_keys.fold_in(keys, LATENT), (self.num_steps,), like)

    def sample_prior(self, key: jax.Array, n: int) -> jax.Array:
        """n draws of z, a fresh one for each step, (n, T * latent_dim)."""
        return jax.random.normal(key, (n, self.num_steps * self.latent_dim))

    def decode(self, z: jax.Array) -> jax.Array:
        """z (n, T * latent_dim) -> logits (n, D)."""

        def step(model: 'DRAW', state: Any, z: jax.Array) -> Any:
            canvas, dec = state
            return model._paint(canvas, dec, z), None

        steps = jnp.moveaxis(z.reshape(len(z), self.num_steps, self.latent_dim), 1, 0)
        canvas, dec, _ = self._start(len(z), z.dtype)
        (canvas, _), _ = _scan(step)(self, (canvas, dec), steps)
        return self._logits(canvas)

    def reconstruct(self, x: jax.Array, keys: jax.Array) -> jax.Array:
        """E[x | z], (B, D), at one draw z ~ q(z | x)."""
        return self.likelihood().mean(self.infer(x, self._noise(keys, x.dtype))[0])

    def likelihood(self) -> Likelihood:
        """p(x | f)."""
        return BernoulliLikelihood()


def _scan(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step(model, state, input)` over the leading axis of the inputs, parameters shared."""
    return nn.scan(step, variable_broadcast='params', split_rngs={'params': False})
