"""What a run shows while it trains and at its end: pictures of what it learnt."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from train.contract import Model, Variables, given
from train.data.base import Description, Source
from train.data.preprocessing import Preprocessing
from train.figures import plots, posteriors
from train.runtime import processes
from train.runtime.writers import NullWriter, Writer, save_png
from train.step import parallel as on
from train.step.randomness import purpose_key, sample_blocks
from train.step.state import TrainState
from train.training.experiment import Experiment
from train.training.session import RunSession

IMAGES, POINTS = 100, 2000


def draw(
    model: Model, variables: Variables, preprocessing: Preprocessing, key: jax.Array, number: int
) -> np.ndarray:
    """`number` samples to look at, (n, D), as numpy; see `in_data_space`."""
    samples = in_data_space(model, variables, preprocessing, key, number)
    return np.asarray(preprocessing.to_display(samples))


@functools.partial(jax.jit, static_argnames=('model', 'number'))
def in_data_space(
    model: Model,
    variables: Variables,
    preprocessing: Preprocessing,
    key: jax.Array,
    number: int,
    context: jax.Array | None = None,
) -> jax.Array:
    """`number` samples (n, D), not clipped; images of latent-variable models are the mean of p(x|z).

    context: (n, C), or (C,), the same for all samples; without one a model of p(x | c) is given contexts drawn as in
    training.
    """
    method = 'sample_mean' if of_means(model, preprocessing) else 'sample'
    contexts = None
    if context is not None:
        contexts = jnp.broadcast_to(jnp.atleast_2d(context), (number, context.shape[-1]))
    elif preprocessing.context is not None:
        key, own_key = jax.random.split(key)
        contexts = preprocessing.context.draw(own_key, number)
    with jax.default_matmul_precision('highest'):
        x = model.apply(variables, key, number, **given(contexts), method=method)
        return preprocessing.inverse_and_log_det(x)[0]


def draw_blocks(
    model: Model,
    variables: Variables,
    preprocessing: Preprocessing,
    key: jax.Array,
    number: int,
    context: jax.Array | np.ndarray | None = None,
) -> np.ndarray:
    """Any number of samples (n, D) as numpy, drawn in blocks; context: (C,), (1, C) or (n, C), see `in_data_space`."""
    blocks = []
    for rows, own_key in sample_blocks(key, number):
        own = context
        if context is not None and context.size > context.shape[-1]:
            own = context[rows]
        x = in_data_space(model, variables, preprocessing, own_key, rows.stop - rows.start, own)
        blocks.append(np.asarray(x, np.float32))
    return np.concatenate(blocks)


def of_means(model: Model, preprocessing: Preprocessing) -> bool:
    """Whether what is shown of a model are the means of p(x|z): of images of latent-variable models."""
    return preprocessing.units.is_image and model.has_posterior


def can_sample(model: Model) -> bool:
    """Whether a model's map is onto, so that there is an x for every z."""
    return model.is_onto


def samples_png(
    description: Description,
    model: Model,
    variables: Variables,
    preprocessing: Preprocessing,
    key: jax.Array,
    data: np.ndarray | None = None,
) -> bytes | None:
    """A picture of samples as PNG bytes, or None for data that has none (neither images nor points in the plane)."""
    if not can_sample(model):
        return None
    if len(description.shape) == 3:
        images = draw(model, variables, preprocessing, key, IMAGES)
        return plots.image_grid(images.reshape(-1, *description.shape), 10)
    if description.shape == (2,) and data is not None:
        points = draw(model, variables, preprocessing, key, POINTS)
        return plots.scatters({'data': data, 'samples': points}, data)
    return None


def density_png(
    model: Model, variables: Variables, preprocessing: Preprocessing, data: np.ndarray
) -> bytes:
    """A picture of the model's density in the plane of the data (n, 2)."""
    points, extent = plots.plane_grid(data)
    values = log_density(model, variables, preprocessing, points)
    return plots.densities({'density': values}, extent)


@functools.partial(jax.jit, static_argnums=0)
def log_density(
    model: Model, variables: Variables, preprocessing: Preprocessing, points: jax.Array
) -> jax.Array:
    """log p of points (n, 2) in data space, (n,); a bound takes 100 importance samples."""
    with jax.default_matmul_precision('highest'):
        x, log_det = preprocessing.forward_and_log_det(points)
        keys = jax.random.split(jax.random.key(0, impl='threefry2x32'), len(points))
        return model.apply(variables, x, keys, 100, method='log_likelihood') + log_det


def show(
    experiment: Experiment,
    state: TrainState,
    validation: Source,
    workdir: epath.Path,
    writer: Writer | NullWriter,
    step: int,
    prefix: str = '',
) -> None:
    """Save and log the pictures of a state (host arrays), `<prefix><name>.png` each.

    `samples`; of data in the plane, where there is no context, `samples_density`; of a model with a posterior those of
    `posteriors`.
    """
    description = experiment.description
    parts = (experiment.model, state.variables, state.preprocessing)
    data = state.preprocessing.examples(validation.gather(np.arange(min(POINTS, len(validation)))))
    key = purpose_key(experiment.config.seed, 'sample')
    drawn = {'samples': samples_png(description, *parts, key, data)}
    if description.shape == (2,) and not description.context:
        drawn['samples_density'] = density_png(*parts, data)
    drawn |= posteriors.draw(description, *parts, experiment.seeds.data, validation)
    for name, png in drawn.items():
        if png is not None:
            save_png(workdir / f'{prefix}{name}.png', png)
            writer.image(step, f'{prefix}{name}', png)


def samples(
    experiment: Experiment,
    session: RunSession,
    validation: Source,
    workdir: epath.Path,
    writer: Writer | NullWriter,
) -> None:
    """The pictures of a session under way, on the first process."""
    state = on.evaluated(session.state)
    if processes.is_first():
        show(experiment, jax.device_get(state), validation, workdir, writer, session.step)
