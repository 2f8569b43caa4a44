"""How each bijector of the preprocessing is fitted, and its shape without data."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from train.data.bijectors import Logit, Standardise
from train.data.sources import blocks
from train.errors import UserError

ROWS_PER_BLOCK = 10_000
ROUNDING = 1e-12  # a standard deviation below this part of the mean is float64 rounding
FIT_NOISE = (
    0xF17  # seed of the dequantisation noise in fitting: a fit is a function of the data alone
)


class Step(NamedTuple):
    fit: Callable  # (config, preprocessing of the steps before, train source) -> bijector
    template: Callable  # (config, num_features) -> bijector


def encoded_blocks(preprocessing, source):
    """Yield the training rows after the steps so far, in blocks (n, D), float64 on the host."""
    key = jax.random.key(FIT_NOISE, impl='threefry2x32')

    @jax.jit
    def transform(preprocessing, rows, raw):
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, rows)
        return preprocessing.forward_and_log_det(preprocessing.encode(raw, keys, False))[0]

    for rows, raw in blocks(source, ROWS_PER_BLOCK):
        yield np.asarray(transform(preprocessing, rows.astype(np.uint32), raw), np.float64)


def mean_and_std(preprocessing, source):
    """Mean (D,) and standard deviation (D,) over the source, float64, by merged block moments."""
    count, mean, squares = 0, 0.0, 0.0
    for x in encoded_blocks(preprocessing, source):
        n, block_mean = len(x), x.mean(0)
        shift = block_mean - mean
        squares = squares + ((x - block_mean) ** 2).sum(0) + shift**2 * (count * n / (count + n))
        mean = mean + shift * (n / (count + n))
        count += n
    return mean, np.sqrt(squares / count)


def _logit(config, *_):
    if not 0 <= config.logit_lambda < 0.5:
        raise UserError(f'config.logit_lambda must lie in [0, 0.5); found {config.logit_lambda}.')
    return Logit(alpha=float(config.logit_lambda))


def _fit_standardise(config, preprocessing, source):
    del config
    mean, std = mean_and_std(preprocessing, source)
    constant = np.flatnonzero(~(std > ROUNDING * np.abs(mean)))
    if constant.size:
        raise UserError(
            f'standardising needs features that vary; feature {constant[0]} '
            f'({constant.size} in all) is constant or not a number in the training split: '
            "drop it, or use config.preprocessing='none'."
        )
    dtype = jax.dtypes.canonicalize_dtype(float)
    return Standardise(mean=jnp.asarray(mean, dtype), std=jnp.asarray(std, dtype))


def _empty_standardise(config, num_features):
    del config
    return Standardise(mean=jnp.zeros(num_features), std=jnp.zeros(num_features))


STEPS = {
    'logit': Step(_logit, _logit),
    'standardise': Step(_fit_standardise, _empty_standardise),
}
