"""Preprocessing: a static encoder, then bijectors fitted on the training split.

    log p(data space) = log p(model space) + log_det of `forward_and_log_det`

A `Preprocessing` is a pytree (the fitted arrays are leaves), so it is an argument of compiled
functions and part of a checkpoint; `template` gives the same tree without data, to restore into.
"""

import math

import flax.struct
import jax.numpy as jnp

from train.data import fitting
from train.data.encoders import Dequantise, Identity
from train.data.registry import describe
from train.data.units import Units
from train.errors import UserError

# Each preset: the bijectors in the order in which data meet them.
PRESETS = {
    'none': (),
    'logit': ('logit',),
    'standardise': ('standardise',),
}


@flax.struct.dataclass
class Preprocessing:
    """encode, then `bijectors` in order. Jit, scan and vmap may go through every method."""

    bijectors: tuple
    encoder: object = flax.struct.field(pytree_node=False)
    units: Units = flax.struct.field(pytree_node=False)

    @classmethod
    def fit(cls, config, train_source):
        """The preset `config.preprocessing`, fitted on the training split of `config.dataset`."""
        preprocessing = cls._empty(config)
        for name in _preset(config):
            fitted = fitting.STEPS[name].fit(config, preprocessing, train_source)
            preprocessing = preprocessing.replace(bijectors=(*preprocessing.bijectors, fitted))
        return preprocessing

    @classmethod
    def template(cls, config, shape):
        """The same pytree for examples of `shape`, zeros for the fitted arrays."""
        steps = [fitting.STEPS[name] for name in _preset(config)]
        bijectors = tuple(step.template(config, math.prod(shape)) for step in steps)
        return cls._empty(config).replace(bijectors=bijectors)

    @classmethod
    def _empty(cls, config):
        levels = describe(config).levels
        encoder = Identity() if levels is None else Dequantise(levels)
        return cls(bijectors=(), encoder=encoder, units=Units(levels))

    def encode(self, raw, keys, training):
        """raw (B, D) as stored, keys (B,) -> (B, D) in data space; `training` is static."""
        return self.encoder.encode(raw, keys, training)

    def forward_and_log_det(self, t):
        """t (B, D) in data space -> model space (B, D), log|det| (B,)."""
        log_det = jnp.zeros(t.shape[:1], t.dtype)
        for bijector in self.bijectors:
            t, term = bijector.forward_and_log_det(t)
            log_det += term
        return t, log_det

    def inverse_and_log_det(self, y):
        """y (B, D) in model space -> data space (B, D), log|det| (B,)."""
        log_det = jnp.zeros(y.shape[:1], y.dtype)
        for bijector in reversed(self.bijectors):
            y, term = bijector.inverse_and_log_det(y)
            log_det += term
        return y, log_det

    def to_display(self, t):
        """t (B, D) in data space as pictures show it: pixels clipped to [0, 1]."""
        return t if self.units.levels is None else jnp.clip(t, 0, 1)


def _preset(config):
    name = config.preprocessing
    if name not in PRESETS:
        known = ', '.join(sorted(PRESETS))
        raise UserError(f'unknown preprocessing {name!r}; config.preprocessing is one of: {known}.')
    description = describe(config)
    if 'logit' in PRESETS[name] and description.levels is None:
        raise UserError(
            f'preprocessing {name!r} needs values in (0, 1), and {description.name} holds real '
            "numbers: use 'none' or 'standardise'."
        )
    return PRESETS[name]
