"""What a latent-variable model makes of the data: reconstructions, their refinement, latent directions; as PNGs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from flows.keys import fold_in
from train.contract import Model, Variables
from train.data.base import Description, Source
from train.data.preprocessing import Preprocessing
from train.figures import plots
from train.step.evaluation import SPLITS
from train.step.randomness import MODEL, example_keys
from train.step.step import preprocess

PAIRS, COLUMNS = 40, 10  # images beside their reconstructions, two to a pair, and images to a row
POINTS = 2000  # of data in the plane
LARGEST_LATENT = 10  # more directions than this are no picture
STEPS = np.linspace(-3, 3, 11)  # along a direction, in standard deviations of the prior
PRIOR_DRAWS = 1000  # from which the prior's mean and deviation are taken


def draw(
    description: Description,
    model: Model,
    variables: Variables,
    preprocessing: Preprocessing,
    seed: int,
    validation: Source,
) -> dict[str, bytes]:
    """name -> PNG: `reconstructions`, and of images `updates` and `traversal`; {} for a model without a posterior.

    seed: of the evaluation noise. validation: a source; its first rows are shown.
    """
    if not model.has_posterior:
        return {}
    parts, shape = (model, variables, preprocessing), description.shape
    number = min(PAIRS if len(shape) == 3 else POINTS, len(validation))
    rows = np.arange(number, dtype=np.int32)
    data, reconstructions = reconstruct(*parts, seed, validation.gather(rows), rows)
    if len(shape) != 3:
        panels = {'data': data, 'reconstructions': reconstructions}
        return {'reconstructions': plots.scatters(panels, data)} if shape == (2,) else {}
    beside = np.stack([data, reconstructions], axis=1)
    drawn = {'reconstructions': _grid(beside, shape, COLUMNS)}
    few = rows[:COLUMNS]
    arguments = (variables, preprocessing, seed, validation.gather(few), few)
    updates = functools.partial(_trace, model)
    if len(jax.eval_shape(updates, *arguments)[1]) > 1:  # a model without them needs no program
        data, trace = updates(*arguments)
        drawn['updates'] = _grid(np.concatenate([data[None], trace]), shape, len(few))
    if _latent_size(model, variables) <= LARGEST_LATENT:
        drawn['traversal'] = _grid(_traverse(*parts), shape, len(STEPS))
    return drawn


def _grid(images: jax.typing.ArrayLike, shape: tuple[int, ...], columns: int) -> bytes:
    """Images (..., D) row by row."""
    return plots.image_grid(np.asarray(images).reshape(-1, *shape), columns)


@functools.partial(jax.jit, static_argnums=0)
def reconstruct(
    model: Model,
    variables: Variables,
    preprocessing: Preprocessing,
    seed: jax.Array,
    raw: jax.Array,
    rows: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The data and E[x | z] at one draw of z, as shown: (n, D) each.

    seed: of the evaluation noise. raw: (n, D) as stored, of the validation split; rows: (n,) int32, where they stand.
    """
    x, keys = _input(preprocessing, seed, raw, rows)
    with jax.default_matmul_precision('highest'):
        means = model.apply(variables, x, keys, method='reconstruct')
    return _shown(preprocessing, x), _shown(preprocessing, means)


@functools.partial(jax.jit, static_argnums=0)
def _trace(
    model: Model,
    variables: Variables,
    preprocessing: Preprocessing,
    seed: jax.Array,
    raw: jax.Array,
    rows: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The data (n, D), and E[x | mean of z] before and after each update (T + 1, n, D), as shown."""
    x, keys = _input(preprocessing, seed, raw, rows)
    with jax.default_matmul_precision('highest'):
        trace = model.apply(variables, x, keys, method='reconstruct_trace')
    shown = _shown(preprocessing, trace.reshape(-1, x.shape[1]))
    return _shown(preprocessing, x), shown.reshape(trace.shape)


@functools.partial(jax.jit, static_argnums=0)
def _traverse(model: Model, variables: Variables, preprocessing: Preprocessing) -> jax.Array:
    """E[x | z] for z along each latent direction through the prior's mean, as shown: (k, steps, D)."""
    key = jax.random.key(0, impl='threefry2x32')
    with jax.default_matmul_precision('highest'):
        draws = model.apply(variables, key, PRIOR_DRAWS, method='sample_prior')
        mean, deviation = draws.mean(axis=0, keepdims=True), draws.std(axis=0)
        offsets = jnp.asarray(STEPS, jnp.float32)[None, :, None] * jnp.diag(deviation)[:, None]
        z = mean + offsets.reshape(-1, mean.shape[1])
        means = model.apply(variables, z, method='decode_mean')
    return _shown(preprocessing, means).reshape(mean.shape[1], len(STEPS), -1)


def _latent_size(model: Model, variables: Variables) -> int:
    """k, the numbers in one z of the prior."""
    key = jax.random.key(0, impl='threefry2x32')
    z = jax.eval_shape(lambda v: model.apply(v, key, 1, method='sample_prior'), variables)
    return z.size


def _input(
    preprocessing: Preprocessing, seed: jax.Array, raw: jax.Array, rows: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The model's input (n, D) and keys (n,), the same as in a validation."""
    keys = example_keys(seed, 'eval_noise', SPLITS['validation'], rows)
    x, _, _ = preprocess(preprocessing, raw, keys, training=False)
    return x, fold_in(keys, MODEL)


def _shown(preprocessing: Preprocessing, x: jax.Array) -> jax.Array:
    return preprocessing.to_display(preprocessing.inverse_and_log_det(x)[0])
