"""An invertible multilayer perceptron with square layers, trained by the relative gradient.

Gresele, Fissore, Javaloy, Schoelkopf, Hyvarinen, 'Relative gradient optimization of the Jacobian
term in unsupervised deep learning', 2020, arXiv:2006.15090.

    z_0 = x,    y_l = z_{l-1} W_l + b_l,    z_l = s(y_l) for l < L,    z_L = y_L
    log p(x) = log p(z_L) + sum_{l<L} sum_d log s'(y_{l,d}) + sum_l log|det W_l|
"""

import jax.numpy as jnp

from flows.activations import ACTIVATIONS, activation
from flows.affine_layer import GRADIENTS, STARTS, RelativeAffine, check
from flows.amortised_affine import INVERSIONS, first_inverses, refreshed
from flows.bijector import zero_log_det
from flows.flow import Flow
from flows.priors import prior


class MLPFlow(Flow):
    """L square affine layers with an activation after each but the last.

    Attributes:
        num_layers: L >= 1; one layer is a linear model.
        nonlinearity: s, a name in `flows.ACTIVATIONS`.
        alpha: slope parameter of s; None takes the activation's own default.
        bias: whether the layers have b.
        gradient, refresh_every, inversion, start: of the layers, see `RelativeAffine`; the inverses of an amortised
            gradient are kept for all layers together.

    Raises ValueError for an unknown name, a bad alpha or num_layers < 1.
    """

    num_layers: int = 2
    nonlinearity: str = 'smooth_leaky_relu'
    alpha: float | None = None
    bias: bool = True
    gradient: str = 'relative'
    refresh_every: int = 10
    inversion: str = 'lu'
    start: str = 'orthogonal'

    def __post_init__(self):
        if self.num_layers < 1:
            raise ValueError(
                f'num_layers must be at least 1, got {self.num_layers}: ask for one layer or more.'
            )
        activation(self.nonlinearity, self.alpha)
        check('gradient', self.gradient, GRADIENTS)
        check('inversion', self.inversion, INVERSIONS)
        check('start', self.start, STARTS)
        super().__post_init__()

    def setup(self):
        gradient = 'ordinary' if self.gradient == 'amortised' else self.gradient
        self.affine = [
            RelativeAffine(self.bias, gradient, start=self.start) for _ in range(self.num_layers)
        ]
        self.s = activation(self.nonlinearity, self.alpha)

    @property
    def is_onto(self):
        """Whether every latent has an inverse."""
        return self.num_layers == 1 or ACTIVATIONS[self.nonlinearity].onto

    @property
    def num_features(self):
        """The width D of an initialised model."""
        return self.affine[0].num_features

    def _inverses(self, x, step):
        """What stands for the W_l^-T, a tuple of (D, D), brought up to date in training."""
        if self.is_initializing():
            self._forward(x)  # the W_l come into being
        W = tuple(layer.get_variable('params', 'W') for layer in self.affine)
        if self.is_initializing():
            kept = first_inverses(W)
        else:
            kept = self.get_variable('cache', 'inverses')
            kept = refreshed(kept, W, step, self.refresh_every, self.inversion)
        if self.is_mutable_collection('cache'):
            self.put_variable('cache', 'inverses', kept)
        return kept.V

    def _forward(self, z, inverses=None):
        # The two sums stay apart, so that a value made from the first alone does not need the
        # second.
        inverses = [None] * self.num_layers if inverses is None else inverses
        log_s, log_det_W = zero_log_det(z), zero_log_det(z)
        for layer, V in zip(self.affine[:-1], inverses[:-1], strict=True):
            y, term = layer.forward_and_log_det(z, V=V)
            log_det_W += term
            z, term = self.s.forward_and_log_det(y)
            log_s += term
        z, term = self.affine[-1].forward_and_log_det(z, V=inverses[-1])
        return z, log_s, log_det_W + term

    def forward_and_log_det(self, x):
        """From x (B, D) to z_L (B, D) and log|det dz_L/dx| (B,)."""
        z, log_s, log_det_W = self._forward(x)
        return z, log_s + log_det_W

    def inverse_and_log_det(self, z):
        """From z_L (B, D) to x (B, D) and log|det dx/dz_L| (B,).

        Not finite where z_L is outside the range of the flow.
        """
        z, log_det = self.affine[-1].inverse_and_log_det(z)
        for layer in reversed(self.affine[:-1]):
            y, term = self.s.inverse_and_log_det(z)
            log_det += term
            z, term = layer.inverse_and_log_det(y)
            log_det += term
        return z, log_det

    def diagnostics(self, x):
        """Signs of trouble ahead, by layer l, from rows x (B, D): name -> () float32.

        `condition_number_l` is that of W_l in the 1-norm; `smallest_slope_l` is min |s'(y_l)| over the rows.
        """
        found, z = {}, x
        for index, layer in enumerate(self.affine):
            y, _ = layer.forward_and_log_det(z)
            W = layer.get_variable('params', 'W')
            norms = jnp.abs(W).sum(0).max(), jnp.abs(jnp.linalg.inv(W)).sum(0).max()
            found[f'condition_number_{index}'] = norms[0] * norms[1]
            if index < self.num_layers - 1:
                found[f'smallest_slope_{index}'] = jnp.exp(self.s.log_slope(y).min())
                z, _ = self.s.forward_and_log_det(y)
        return found

    def objective(self, x, keys, step):
        """{'loss', 'nll_without_log_det_W'}, (B,), in nats, for x (B, D).

        The second is -(log p(z_L) + sum log s'), the part of the loss -log p(x) that costs O(B D^2)
        to know.
        """
        del keys
        inverses = self._inverses(x, step) if self.gradient == 'amortised' else None
        z, log_s, log_det_W = self._forward(x, inverses)
        nll = -(prior(self.prior).log_prob(z) + log_s)
        return {'loss': nll - log_det_W, 'nll_without_log_det_W': nll}
