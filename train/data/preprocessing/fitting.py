"""How each bijector of the preprocessing is fitted, and its shape without data."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from train.data.base import Config
from train.data.preprocessing import fit_cache
from train.data.preprocessing.bijectors import ZCA, Bijector, Centre, Logit, Standardise, Symmetric
from train.data.storage.sources import Source, blocks
from train.errors import UserError

ROWS_PER_BLOCK = 10_000
ROUNDING = 1e-12  # a standard deviation below this part of the mean is float64 rounding
# Seed of the dequantisation noise in fitting: a fit is a function of the data alone.
FIT_NOISE = 0xF17


class Before(Protocol):
    """The preprocessing of the steps before."""

    def encode(self, raw: jax.Array, keys: jax.Array, training: bool) -> jax.Array: ...

    def forward_and_log_det(self, t: jax.Array) -> tuple[jax.Array, jax.Array]: ...


class Step(NamedTuple):
    fit: Callable[[Config, Before, Source], Bijector]  # from the training split
    template: Callable[[Config, int], Bijector]  # from num_features


def encoded_blocks(preprocessing: Before, source: Source) -> Iterator[np.ndarray]:
    """Yield the training rows after the steps so far, in blocks (n, D), float64 on the host."""
    key = jax.random.key(FIT_NOISE, impl='threefry2x32')

    @jax.jit
    def transform(preprocessing: Before, rows: jax.Array, raw: jax.Array) -> jax.Array:
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, rows)
        return preprocessing.forward_and_log_det(preprocessing.encode(raw, keys, False))[0]

    for rows, raw in blocks(source, ROWS_PER_BLOCK):
        yield np.array(transform(preprocessing, rows.astype(np.uint32), raw), np.float64)


def mean_and_std(preprocessing: Before, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and standard deviation (D,) over the source, float64, by merged block moments."""
    mean, variance = _moments(preprocessing, source, lambda left, right: (left * right).sum(0))
    return mean, np.sqrt(variance)


def mean_and_covariance(preprocessing: Before, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and covariance (D, D) over the source, float64, by merged block moments."""

    def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        # The explicit transpose of the same array lets BLAS compute one triangle only.
        return left.T @ right

    return _moments(preprocessing, source, product)


def _moments(
    preprocessing: Before,
    source: Source,
    product: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and the mean of product(x - mean, x - mean) where the product sums over rows (n, D)."""
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for x in encoded_blocks(preprocessing, source):
        n, block_mean = len(x), x.mean(0)
        shift = block_mean - mean
        x -= block_mean
        row = np.sqrt(count * n / (count + n)) * np.reshape(shift, (1, -1))
        squares = squares + product(x, x) + product(row, row)
        mean = mean + shift * (n / (count + n))
        count += n
    return mean, squares / count


def _logit(config: Config, *_: Any) -> Logit:
    if not 0 <= config.logit_lambda < 0.5:
        raise UserError(f'config.logit_lambda must lie in [0, 0.5); found {config.logit_lambda}.')
    return Logit(alpha=float(config.logit_lambda))


def _fit_standardise(config: Config, preprocessing: Before, source: Source) -> Standardise:
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


def _fit_rms(config: Config, preprocessing: Before, source: Source) -> Standardise:
    """Standardise with one number for all features, the root mean square deviation from their means."""
    del config
    mean, std = mean_and_std(preprocessing, source)
    rms = np.sqrt(np.mean(std**2))
    if not rms > ROUNDING * np.abs(mean).max():
        raise UserError(
            'dividing by the root mean square deviation needs a training split that varies and holds '
            f'numbers only, found {rms}: repair it, or use another config.preprocessing.'
        )
    dtype = jax.dtypes.canonicalize_dtype(float)
    return Standardise(mean=jnp.asarray(mean, dtype), std=jnp.full(mean.shape, rms, dtype))


def _empty_standardise(config: Config, num_features: int) -> Standardise:
    del config
    return Standardise(mean=jnp.zeros(num_features), std=jnp.zeros(num_features))


def _symmetric(*_: Any) -> Symmetric:
    return Symmetric()


def _fit_centre(config: Config, preprocessing: Before, source: Source) -> Centre:
    del config
    mean, _ = mean_and_std(preprocessing, source)
    return Centre(mean=jnp.asarray(mean, jax.dtypes.canonicalize_dtype(float)))


def _empty_centre(config: Config, num_features: int) -> Centre:
    del config
    return Centre(mean=jnp.zeros(num_features))


def _zca_epsilon(config: Config) -> float:
    if not config.zca_epsilon >= 0:
        raise UserError(f'config.zca_epsilon must be at least 0; found {config.zca_epsilon}.')
    return float(config.zca_epsilon)


def _fit_zca(config: Config, preprocessing: Before, source: Source) -> ZCA:
    epsilon = _zca_epsilon(config)
    arrays = fit_cache.cached(
        config,
        f'zca-{epsilon!r}-{preprocessing!r}',
        source,
        lambda: _zca_arrays(epsilon, preprocessing, source),
    )
    dtype = jax.dtypes.canonicalize_dtype(float)
    return ZCA(**{name: jnp.asarray(array, dtype) for name, array in arrays.items()})


def _zca_arrays(epsilon: float, preprocessing: Before, source: Source) -> dict[str, Any]:
    """The fields of `ZCA`, float64."""
    mean, covariance = mean_and_covariance(preprocessing, source)
    if not np.isfinite(covariance).all():
        raise UserError(
            'whitening needs finite numbers, and the training split holds others: '
            "repair it, or use config.preprocessing='none'."
        )
    variances, u = np.linalg.eigh(covariance)
    floor = ROUNDING * variances[-1]
    if variances[0] + epsilon <= floor:
        raise UserError(
            f'whitening divides by the standard deviation of every direction, and one of '
            f'{len(variances)} is constant in the training split: '
            'use a positive config.zca_epsilon, for instance 1e-3.'
        )
    scaled = np.maximum(variances, 0) + epsilon
    return {
        'mean': mean,
        'matrix': (u / np.sqrt(scaled)) @ u.T,
        'inverse': (u * np.sqrt(scaled)) @ u.T,
        'log_det': -0.5 * np.log(scaled).sum(),
    }


def _empty_zca(config: Config, num_features: int) -> ZCA:
    _zca_epsilon(config)
    square = jnp.zeros((num_features, num_features))
    return ZCA(mean=jnp.zeros(num_features), matrix=square, inverse=square, log_det=jnp.zeros(()))


STEPS = {
    'logit': Step(_logit, _logit),
    'standardise': Step(_fit_standardise, _empty_standardise),
    'rms': Step(_fit_rms, _empty_standardise),
    'symmetric': Step(_symmetric, _symmetric),
    'mean': Step(_fit_centre, _empty_centre),
    'zca': Step(_fit_zca, _empty_zca),
}
