"""Checks of a trained model against mathematics: inverses, log-determinants, conditioning, mass."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from flows import ImageFlow, MultiScaleFlow
from flows.bijector import takes_context
from train.contract import Model, Variables, given


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of the table. `limit` is None for a figure that is only reported."""

    name: str
    value: float
    limit: float | None

    @property
    def passed(self) -> bool:
        """Whether the value is finite and within the limit."""
        return self.limit is None or (math.isfinite(self.value) and self.value <= self.limit)


def check_flow(
    model: Model,
    variables: Variables,
    x: jax.Array,
    key: jax.Array,
    context: jax.Array | None = None,
) -> list[Check]:
    """All checks of an exact flow on rows x (N, D) in model space, with their contexts (N, C); a list of `Check`.

    The mathematics is checked in float64, where it has to hold to rounding. What float32, in which the model runs,
    loses of it is measured as well, and fails where samples would visibly be wrong.
    """
    checks = [
        Check(f'condition number {name}', value, None)
        for name, value in condition_numbers(variables['params']).items()
    ]
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)
        x_64 = np.asarray(x, np.float64)
        for name, error in inverse_errors(model, wide, x_64, context).items():
            checks.append(Check(f'inverse error {name}, float64', error, 1e-6))
        log_det = log_dets(model, wide, x_64, context)
        few = None if context is None else context[:4]
        error = np.abs(log_det[:4] - jacobian_log_det(model, wide, x_64[:4], few)).max()
        checks.append(Check('log-determinant against slogdet, nats, float64', error, 1e-6))
    for name, error in inverse_errors(model, variables, x, context).items():
        checks.append(Check(f'inverse error {name}, float32', error, 0.1))
    error = np.abs(log_dets(model, variables, x, context) - log_det).max()
    checks.append(Check('log-determinant, nats, float32', float(error), 0.05))
    if model.is_onto:
        error = sample_round_trip(model, variables, key, context)
        checks.append(Check('round trip of samples, float32', error, 0.1))
    if x.shape[1] <= 2:
        error = abs(integral(model, variables, x, context) - 1)
        checks.append(Check('distance of the integral of the density from 1', error, 1e-2))
    return checks


def check_image_flow(
    model: ImageFlow, variables: Variables, x: jax.Array, keys: jax.Array, key: jax.Array
) -> list[Check]:
    """All checks of the density of dequantised images, and that x (N, D) with its keys (N,) comes back from them."""
    y, _ = model.apply(variables, x, keys, method='real_images')
    back = np.asarray(model.apply(variables, y, method='whole_images'))
    moved = np.abs(back - np.asarray(x)).max()
    within = {name: {'flow': tree['flow']} for name, tree in variables.items()}
    checks = check_flow(model.of_real_images(), within, y.reshape(len(y), -1), key)
    return [Check('levels that dequantisation moves', float(moved), 0), *checks]


def condition_numbers(params: Any) -> dict[str, float]:
    """name -> sigma_max / sigma_min in float64 of every square matrix among the parameters."""
    numbers = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if leaf.ndim == 2 and leaf.shape[0] == leaf.shape[1]:
            name = '/'.join(key.key for key in path)
            numbers[name] = float(np.linalg.cond(np.asarray(leaf, np.float64)))
    return numbers


def log_dets(
    model: Model,
    variables: Variables,
    x: jax.typing.ArrayLike,
    context: jax.Array | None,
) -> np.ndarray:
    """log|det dz/dx| (N,), float64."""
    _, log_det = model.apply(variables, x, **given(context), method='forward_and_log_det')
    return np.asarray(log_det, np.float64)


def inverse_errors(
    model: Model,
    variables: Variables,
    x: jax.typing.ArrayLike,
    context: jax.Array | None = None,
) -> dict[str, float]:
    """Path -> max |f^-1(f(x)) - x| / max(1, |x|), for each layer on what reaches it and for the whole.

    The inverse of a `MultiScaleFlow` asks for a shape; it is that of the whole.
    """
    errors = {}

    def interceptor(
        next_function: Callable[..., Any],
        args: tuple,
        kwargs: dict[str, Any],
        call: nn.module.InterceptorContext,
    ) -> Any:
        out = next_function(*args, **kwargs)
        if call.method_name == 'forward_and_log_det' and not isinstance(
            call.module, MultiScaleFlow
        ):
            of_layer = given(context) if takes_context(call.module) else {}
            back, _ = call.module.inverse_and_log_det(out[0], **of_layer)
            scale = jnp.maximum(1, jnp.abs(args[0]))
            name = '/'.join(call.module.path) or 'whole model'
            errors[name] = float((jnp.abs(back - args[0]) / scale).max())
        return out

    with nn.intercept_methods(interceptor):
        model.apply(variables, x, **given(context), method='forward_and_log_det')
    return errors


def jacobian_log_det(
    model: Model,
    variables: Variables,
    x: jax.typing.ArrayLike,
    context: jax.Array | None = None,
) -> np.ndarray:
    """log|det| of the Jacobian by reverse-mode autodiff, (N,), one row of x (N, D) after another."""

    def forward(row: jax.Array, c: dict[str, jax.Array]) -> jax.Array:
        of_row = jax.tree.map(lambda value: value[None], c)
        return model.apply(variables, row[None], **of_row, method='forward_and_log_det')[0][0]

    jacobians = jax.lax.map(lambda row: jax.jacrev(forward)(*row), (x, given(context)))
    return np.linalg.slogdet(jacobians)[1]


def sample_round_trip(
    model: Model,
    variables: Variables,
    key: jax.Array,
    context: jax.Array | None = None,
    number: int = 100,
) -> float:
    """max |f^-1(f(x)) - x| / max(1, |x|) over samples x of the model, given contexts (n, C) by turns."""
    c = {} if context is None else {'context': jnp.resize(context, (number, context.shape[1]))}
    x = model.apply(variables, key, number, **c, method='sample')
    z, _ = model.apply(variables, x, **c, method='forward_and_log_det')
    back, _ = model.apply(variables, z, **c, method='inverse_and_log_det')
    return float((jnp.abs(back - x) / jnp.maximum(1, jnp.abs(x))).max())


def integral(
    model: Model,
    variables: Variables,
    x: jax.Array,
    context: jax.Array | None = None,
    log2_points: int = 17,
) -> float:
    """The density's integral over the line or the plane, by quasi-Monte Carlo importance sampling.

    Of p(x | c) it is that for the first of the contexts (N, C).

    The proposal is a mixture of Cauchy densities around the data x (N, 1 or 2), from a quarter of their width to 4,096
    times it, so that the mass of a model far from its data is found as well.
    """
    from scipy.stats import cauchy, qmc

    data, num_features = np.asarray(x), x.shape[1]
    centre, width = np.median(data, axis=0), np.std(data, axis=0)
    scales = 4.0 ** np.arange(-1, 7)
    uniform = qmc.Sobol(num_features + 1, seed=0).random_base2(log2_points)
    scale = scales[(uniform[:, 0] * len(scales)).astype(int)]
    points = centre + width * scale[:, None] * cauchy.ppf(uniform[:, 1:])
    points = points.astype(np.float32)
    log_q = [
        cauchy.logpdf(points, centre, width * scale).sum(axis=1) - np.log(len(scales))
        for scale in scales
    ]

    def log_density(rows: jax.Array) -> jax.Array:
        c = None if context is None else context[:1].repeat(len(rows), axis=0)
        return model.apply(variables, rows, **given(c), method='log_likelihood')

    log_p = jax.lax.map(log_density, jnp.asarray(points).reshape(64, -1, num_features))
    log_p = np.asarray(log_p, np.float64).reshape(-1)
    return float(np.exp(log_p - np.logaddexp.reduce(log_q, axis=0)).mean())


def table(checks: Sequence[Check]) -> str:
    """The checks as text, one a line."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        limit = '' if check.limit is None else f'  (limit {check.limit:.1e})'
        verdict = '' if check.limit is None else ('  ok' if check.passed else '  FAILED')
        lines.append(f'{check.name:<{width}}  {check.value:.3e}{limit}{verdict}')
    return '\n'.join(lines)
