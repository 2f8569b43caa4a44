"""An invertible multilayer perceptron with square layers, trained by the relative gradient.

Gresele, Fissore, Javaloy, Schoelkopf, Hyvarinen, "Relative gradient optimization of the Jacobian
term in unsupervised deep learning", 2020, arXiv:2006.15090.

    z_0 = x,    y_l = z_{l-1} W_l + b_l,    z_l = s(y_l) for l < L,    z_L = y_L
    log p(x) = log p(z_L) + sum_{l<L} sum_d log s'(y_{l,d}) + sum_l log|det W_l|
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from flows.base_densities import Gaussian
from flows.bijector import WithLogDet, own_copy, zero_log_det
from flows.elementwise.activations import Activation, SmoothLeakyReLU
from flows.flow import Flow
from flows.model import Terms
from flows.relative.affine_layer import RelativeAffine
from flows.relative.lagged_affine import lagged_inverses


def is_of_activation(path: Sequence[jax.tree_util.DictKey]) -> bool:
    """Whether a parameter of an `MLPFlow`, by its path in the tree, belongs to an activation."""
    return path[0].key.startswith('s_')  # as Flax names the list `MLPFlow.s`


class MLPFlow(Flow):
    """L square affine layers with an activation after each but the last, and further ones where they are asked for.

    Attributes:
        num_layers: L >= 1; one layer is a linear model.
        activation: s. Of one with parameters each layer has a copy.
        ends: whether an activation comes before the first layer, where it makes each component of the data more like
            the base, and one after the last, which makes the base a learnt one.
        learnt_base: the one after the last alone. With one layer this is linear independent component analysis whose
            source densities are learnt.
        layer: the affine layer, of which there are L copies. The lagged inverses of one with gradient='amortised' are
            kept, and brought up to date, for all layers together.
        base: density of z_L.

    Raises ValueError for num_layers < 1.
    """

    num_layers: int = 2
    activation: Activation = SmoothLeakyReLU()
    ends: bool = False
    learnt_base: bool = False
    layer: RelativeAffine = RelativeAffine()

    def __post_init__(self) -> None:
        if self.num_layers < 1:
            raise ValueError(
                f'num_layers must be at least 1, got {self.num_layers}: ask for one layer or more.'
            )
        super().__post_init__()

    def setup(self) -> None:
        # With lagged inverses that are kept here, a layer's own gradient is the ordinary one.
        gradient = 'ordinary' if self._is_lagged else self.layer.gradient
        self.affine = [self.layer.copy(gradient=gradient) for _ in range(self.num_layers)]
        self.s = [own_copy(self.activation) for _ in range(self.num_layers - 1)]
        if self.ends:
            self.s_first = own_copy(self.activation)
        if self._has_last:
            self.s_last = own_copy(self.activation)

    @property
    def _has_last(self) -> bool:
        return self.ends or self.learnt_base

    @property
    def _ends_in_gaussian(self) -> bool:
        """Whether the last layer's gradient may be taken together with the base's."""
        is_relative = self.layer.gradient == 'relative'
        return is_relative and not self._has_last and isinstance(self.base, Gaussian)

    @property
    def _is_lagged(self) -> bool:
        return self.layer.gradient == 'amortised'

    @property
    def is_onto(self) -> bool:
        """Whether every latent has an inverse."""
        return (self.num_layers == 1 and not self._has_last) or self.activation.onto

    @property
    def num_features(self) -> int:
        """The width D of an initialised model."""
        return self.affine[0].num_features

    def _lagged_inverses(
        self, x: jax.Array, step: jax.Array | None
    ) -> tuple[jax.Array, ...] | None:
        """What stands for the W_l^-T, a tuple of (D, D), brought up to date in training."""
        if not self._is_lagged:
            return None
        if self.is_initializing():
            self._forward(x)  # the W_l come into being
        W = tuple(layer.weights for layer in self.affine)
        return lagged_inverses(self, W, step, self.layer.refresh_every, self.layer.inversion)

    def _to_last(
        self, z: jax.Array, inverses: Sequence[jax.Array] | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """z_{L-1} (B, D), and sum log s' and sum log|det W| of all before the last layer, (B,) each."""
        # The two sums stay apart, so that a value made from the first alone does not need the
        # second.
        log_s, log_det_W = zero_log_det(z), zero_log_det(z)
        if self.ends:
            z, log_s = self.s_first.forward_and_log_det(z)
        for index, s in enumerate(self.s):
            V = None if inverses is None else inverses[index]
            y, term = self.affine[index].forward_and_log_det(z, V=V)
            log_det_W += term
            z, term = s.forward_and_log_det(y)
            log_s += term
        return z, log_s, log_det_W

    def _forward(
        self, z: jax.Array, inverses: Sequence[jax.Array] | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        z, log_s, log_det_W = self._to_last(z, inverses)
        V = None if inverses is None else inverses[-1]
        z, term = self.affine[-1].forward_and_log_det(z, V=V)
        log_det_W += term
        if self._has_last:
            z, term = self.s_last.forward_and_log_det(z)
            log_s += term
        return z, log_s, log_det_W

    def _log_terms(
        self, x: jax.Array, inverses: Sequence[jax.Array] | None
    ) -> tuple[jax.Array, jax.Array]:
        """log p(z_L) + sum log s', and sum log|det W|, (B,) each."""
        if self._ends_in_gaussian:
            z, log_s, log_det_W = self._to_last(x)
            log_p, term = self.affine[-1].gaussian_log_prob(z)
            return log_p + log_s, log_det_W + term
        z, log_s, log_det_W = self._forward(x, inverses)
        return self.base.log_prob(z) + log_s, log_det_W

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to z_L (B, D) and log|det dz_L/dx| (B,)."""
        z, log_s, log_det_W = self._forward(x)
        if self.is_initializing():
            self._lagged_inverses(x, None)
        return z, log_s + log_det_W

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z_L (B, D) to x (B, D) and log|det dx/dz_L| (B,).

        Not finite where z_L is outside the range of the flow.
        """
        log_det = zero_log_det(z)
        if self._has_last:
            z, log_det = self.s_last.inverse_and_log_det(z)
        z, term = self.affine[-1].inverse_and_log_det(z)
        log_det += term
        for layer, s in reversed(list(zip(self.affine[:-1], self.s, strict=True))):
            y, term = s.inverse_and_log_det(z)
            log_det += term
            z, term = layer.inverse_and_log_det(y)
            log_det += term
        if self.ends:
            z, term = self.s_first.inverse_and_log_det(z)
            log_det += term
        return z, log_det

    def diagnostics(self, x: jax.Array) -> Terms:
        """Signs of trouble ahead, by layer l, from rows x (B, D): name -> () float32.

        `condition_number_l` is that of W_l in the 1-norm; `smallest_slope_l` is min |s'(y_l)| over the rows.
        """
        numbers, z = {}, x
        if self.ends:
            z, _ = self.s_first.forward_and_log_det(x)
        for index, layer in enumerate(self.affine):
            y, _ = layer.forward_and_log_det(z)
            W = layer.weights
            norms = jnp.abs(W).sum(0).max(), jnp.abs(jnp.linalg.inv(W)).sum(0).max()
            numbers[f'condition_number_{index}'] = norms[0] * norms[1]
            if index < self.num_layers - 1:
                numbers[f'smallest_slope_{index}'] = jnp.exp(self.s[index].log_slope(y).min())
                z, _ = self.s[index].forward_and_log_det(y)
        return numbers

    def objective(
        self,
        x: jax.Array,
        keys: jax.Array | None,
        step: jax.Array | None,
        context: jax.Array | None = None,
    ) -> Terms:
        """{'loss', 'nll_without_log_det_W'}, (B,), in nats, for x (B, D).

        The second is -(log p(z_L) + sum log s'), the part of the loss -log p(x) that costs O(B D^2)
        to know.
        """
        del keys
        self._check(context, len(x))
        log_p_and_s, log_det_W = self._log_terms(x, self._lagged_inverses(x, step))
        return {'loss': -log_p_and_s - log_det_W, 'nll_without_log_det_W': -log_p_and_s}
