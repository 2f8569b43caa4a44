"""Hidden pixels filled in by climbing the likelihood, as NICE does it.

Dinh, Krueger, Bengio, 'NICE: Non-linear independent components estimation', 2014, arXiv:1410.8516,
section 5.2. With the observed part x_O fixed and the hidden part x_H started uniformly at random,

    x_H <- x_H + a_i (d log p(x_O, x_H) / d x_H + eps),   eps ~ N(0, I),   a_i = 10 / (100 + i)

and x_H is brought back into the range of the data after each step. The gradient is that of each
image alone, whatever the number of images.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from train.contract import Model, Variables, given
from train.data.preprocessing import Preprocessing
from train.errors import UserError

START, NOISE, MASKS = 0, 1, 2  # what a key is split into


def masks(shape: tuple[int, ...], key: jax.Array) -> dict[str, np.ndarray]:
    """The ten masks of the published code for images (H, W, C): name -> hidden (H, W, C) bool."""
    height, width, _ = shape
    row, column = (index[:, :, None] for index in np.indices((height, width)))
    position = row * width + column
    u = np.asarray(jax.random.uniform(jax.random.fold_in(key, MASKS), (2, height, width, 1)))
    hidden = {
        'top half': row < height // 2,
        'bottom half': row >= height // 2,
        'even pixels': position % 2 == 0,
        'odd pixels': position % 2 == 1,
        'left half': column < width // 2,
        'right half': column >= width // 2,
        'middle rows': (row >= height // 4) & (row < height - height // 4),
        'middle columns': (column >= width // 4) & (column < width - width // 4),
        'three quarters at random': u[0] < 0.75,
        'nine tenths at random': u[1] < 0.9,
    }
    return {name: np.broadcast_to(mask, shape) for name, mask in hidden.items()}


def step_size(i: jax.Array) -> jax.Array:
    """a_i = 10 / (100 + i)."""
    return 10 / (100 + i)


def inpaint(
    log_density: Callable[[jax.Array], jax.Array],
    images: jax.Array,
    hidden: jax.Array,
    key: jax.Array,
    steps: int,
) -> tuple[jax.Array, jax.Array]:
    """Complete `images` (n, D) in [0, 1] where `hidden` (n, D) is true.

    log_density: t (n, D) -> (n,) nats, each row's alone. Returns (start (n, D), with hidden pixels
    drawn from the key, completed (n, D)); observed pixels stay as they are, bit for bit.
    """
    gradient = jax.grad(lambda t: log_density(t).sum())
    uniform = jax.random.uniform(jax.random.fold_in(key, START), images.shape, images.dtype)
    start = jnp.where(hidden, uniform, images)
    noise_key = jax.random.fold_in(key, NOISE)

    def step(i: jax.Array, t: jax.Array) -> jax.Array:
        noise = jax.random.normal(jax.random.fold_in(noise_key, i), t.shape, t.dtype)
        moved = t + step_size(i).astype(t.dtype) * (gradient(t) + noise)
        return jnp.where(hidden, jnp.clip(moved, 0, 1), t)

    return start, jax.lax.fori_loop(jnp.int32(0), jnp.int32(steps), step, start)


def check(model: Model, shape: tuple[int, ...]) -> None:
    """Raise a `UserError` for what is no image and for a model whose likelihood is a bound."""
    if len(shape) != 3:
        raise UserError(f'inpainting needs images; found data of shape {shape}.')
    if not model.exact:
        raise UserError(
            f'inpainting climbs an exact likelihood, and that of {type(model).__name__} is a bound: '
            'use a run of a flow.'
        )


def complete(
    model: Model,
    variables: Variables,
    preprocessing: Preprocessing,
    raw: np.ndarray,
    shape: tuple[int, ...],
    key: jax.Array,
    steps: int,
) -> dict[str, Any]:
    """Complete each image of `raw` (n, D) under each of the ten masks with a trained exact model.

    Returns {'masks': names, 'hidden': (10, H, W, C), 'images', 'start', 'completed': (10, n, D) in
    data space, 'before', 'after': (10, n), their log-densities in data space in nats}. Raises as `check` does.
    """
    check(model, shape)
    hidden = masks(shape, key)

    def log_density(
        variables: Variables, preprocessing: Preprocessing, c: dict[str, jax.Array], t: jax.Array
    ) -> jax.Array:
        x, log_det = preprocessing.forward_and_log_det(t)
        return model.apply(variables, x, None, 1, **c, method='log_likelihood') + log_det

    @jax.jit
    def run(
        variables: Variables, preprocessing: Preprocessing, raw: jax.Array, hidden: jax.Array
    ) -> dict[str, jax.Array]:
        n = len(raw)
        t = preprocessing.encode(raw, jax.random.split(key, n), False)
        images = jnp.tile(t, (len(hidden), 1))
        covered = jnp.repeat(hidden.reshape(len(hidden), -1), n, axis=0)
        c = given(preprocessing.context_of(jnp.tile(raw, (len(hidden), 1))))
        density = jax.tree_util.Partial(log_density, variables, preprocessing, c)
        start, completed = inpaint(density, images, covered, key, steps)
        arrays = {'images': images, 'start': start, 'completed': completed}
        densities = {'before': density(start), 'after': density(completed)}
        return jax.tree.map(
            lambda a: a.reshape(len(hidden), n, *a.shape[1:]), {**arrays, **densities}
        )

    covers = np.stack(list(hidden.values()))
    with jax.default_matmul_precision('highest'):
        results = run(variables, preprocessing, raw, covers)
    return {'masks': list(hidden), 'hidden': covers, **jax.tree.map(np.asarray, results)}


def panel(inpainted: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """The images of `complete` as rows of one picture: for each mask the covered ones, then the completed."""
    grey = np.where(
        inpainted['hidden'].reshape(len(inpainted['hidden']), 1, -1), 0.5, inpainted['images']
    )
    rows = np.stack([grey, inpainted['completed']], axis=1)
    return rows.reshape(-1, *shape)
