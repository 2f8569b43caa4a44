"""Two-dimensional toy densities: those of the relative-gradient experiments and those of FFJORD.

8gaussians, 2spirals, checkerboard and rings are in both sets with one law; the name with `_ffjord`
is FFJORD's version where it is another: moons are wider apart and more blurred, and 8gaussians
divides by 1.414 instead of the root of two.

Each is a sampler, and, where the density has a closed form, its exact log-density; `entropy` then
integrates -p log p, unless it is known in closed form. Points are independent draws, also where
published code blurs the points of a grid along a curve, the same in every split: on the rings and
on the half circles of `moons` the angle is drawn from the whole arc. Of `moons_ffjord` alone the
published grid is kept, half of the points on each half circle.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from train.data.datasets.mixtures import BlurredCircles, Mixture

SINE_STD = 0.25
# Uniform draws on a grid that float32 holds: no point of the board is rounded across an edge.
UNIFORM_GRID = 2**20


@dataclass(frozen=True)
class Toy:
    """A density on the plane: `sample(rng, n) -> (n, 2)`, `log_density((n, 2)) -> (n,)` in nats."""

    sample: Callable[[np.random.Generator, int], np.ndarray]
    log_density: Callable[[np.ndarray], np.ndarray] | None = None
    closed_entropy: float | None = None  # nats
    edition: int = 1  # raised when a seed comes to give other points

    @property
    def entropy(self) -> float | None:
        """-E log p in nats, the bound on what a model can reach; None without a log-density."""
        if self.log_density is None or self.closed_entropy is not None:
            return self.closed_entropy
        return _integrated_entropy(self.log_density)


def _integrated_entropy(
    log_density: Callable[[np.ndarray], np.ndarray], half_width: float = 8.0, step: float = 0.04
) -> float:
    """-integral of p log p by the trapezoidal rule, geometrically convergent for smooth p.

    The step is half the smallest standard deviation and the box ends six of them behind the
    outermost centre.
    """
    axis = np.arange(-half_width, half_width + step / 2, step)
    log_p = log_density(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2))
    return float(-(np.exp(log_p) * log_p).sum() * step**2)


def _sine(rng: np.random.Generator, n: int) -> np.ndarray:
    x = rng.uniform(-2, 2, n)
    return np.stack([x, np.sin(3 * x) + SINE_STD * rng.standard_normal(n)], axis=1)


def _sine_log_density(x: np.ndarray) -> np.ndarray:
    residual = (x[:, 1] - np.sin(3 * x[:, 0])) / SINE_STD
    log_p = -np.log(4) - 0.5 * np.log(2 * np.pi * SINE_STD**2) - 0.5 * residual**2
    return np.where(np.abs(x[:, 0]) <= 2, log_p, -np.inf)


def _half_circles(angle: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Points (n, 2) at angles (n,) in [0, pi] of the upper half circle, or the one below it where `lower` (n,)."""
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.where(lower[:, None], [1, 0.5] - upper, upper)


def _moons(rng: np.random.Generator, n: int) -> np.ndarray:
    points = _half_circles(rng.uniform(0, np.pi, n), rng.random(n) < 0.5)
    return points + 0.05 * rng.standard_normal((n, 2))


def _two_spirals(rng: np.random.Generator, n: int) -> np.ndarray:
    r = 3 * np.pi * np.sqrt(rng.random(n))
    arm = np.stack([-np.cos(r) * r, np.sin(r) * r], axis=1) + 0.5 * rng.random((n, 2))
    sign = rng.permutation(np.where(np.arange(n) < (n + 1) // 2, 1.0, -1.0))
    return sign[:, None] * arm / 3 + 0.1 * rng.standard_normal((n, 2))


def _checkerboard(rng: np.random.Generator, n: int) -> np.ndarray:
    u = rng.integers(0, UNIFORM_GRID, (n, 2)) / UNIFORM_GRID
    x1 = 4 * u[:, 0] - 2
    x2 = u[:, 1] - 2 * rng.integers(0, 2, n) + np.floor(x1) % 2
    return 2 * np.stack([x1, x2], axis=1)


def _checkerboard_log_density(x: np.ndarray) -> np.ndarray:
    cell = np.floor(
        x / 2
    )  # the board has cells -2 .. 1 each way, those of one colour hold the mass
    inside = ((cell >= -2) & (cell < 2)).all(axis=1) & (cell.sum(axis=1) % 2 == 0)
    return np.where(inside, -np.log(32), -np.inf)


def _mixture(mixture: Mixture | BlurredCircles) -> Toy:
    return Toy(mixture.sample, mixture.log_density)


def _moons_ffjord(rng: np.random.Generator, n: int) -> np.ndarray:
    upper, lower = np.linspace(0, np.pi, n // 2), np.linspace(0, np.pi, n - n // 2)
    grid = _half_circles(np.concatenate([upper, lower]), np.arange(n) >= n // 2)
    points = rng.permutation(grid) + 0.1 * rng.standard_normal((n, 2))
    return 2 * points + np.array([-1, -0.2])


def _swissroll(rng: np.random.Generator, n: int) -> np.ndarray:
    t = 1.5 * np.pi * (1 + 2 * rng.random(n))
    roll = np.stack([t * np.cos(t), t * np.sin(t)], axis=1)
    return (roll + rng.standard_normal((n, 2))) / 5


def _pinwheel(rng: np.random.Generator, n: int, arms: int = 5) -> np.ndarray:
    """Radial and tangential Gaussians, turned by an angle that grows with the radius."""
    arm = rng.integers(0, arms, n)
    x = rng.standard_normal((n, 2)) * [0.3, 0.1] + [1, 0]
    angle = 2 * np.pi * arm / arms + 0.25 * np.exp(x[:, 0])
    cos, sin = np.cos(angle), np.sin(angle)
    return 2 * np.stack([x[:, 0] * cos + x[:, 1] * sin, x[:, 1] * cos - x[:, 0] * sin], axis=1)


def _on_curve(curve: Callable[[np.ndarray], np.ndarray]) -> Toy:
    def sample(rng: np.random.Generator, n: int) -> np.ndarray:
        x = 5 * rng.random(n) - 2.5
        return np.stack([x, curve(x)], axis=1)

    return Toy(sample)


def _compass(degrees: ArrayLike, radius: float = 4.0) -> np.ndarray:
    angle = np.deg2rad(degrees)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


THREE_CENTRES = [(0, 0), (5, 5), (5, -5)]
SMILE_CENTRES = np.concatenate(
    [_compass([240, 300]), [(0, 0)], _compass([90, 45, 135, 60, 120, 75, 105])]
)

TOYS = {
    'sine': Toy(
        _sine,
        _sine_log_density,
        math.log(4) + 0.5 * math.log(2 * math.pi * math.e * SINE_STD**2),
    ),
    'moons': Toy(_moons, edition=2),
    'smile': _mixture(Mixture.of(SMILE_CENTRES, 0.5, [0.5 / 3] * 3 + [0.5 / 7] * 7)),
    '2spirals': Toy(_two_spirals),
    'checkerboard': Toy(_checkerboard, _checkerboard_log_density, math.log(32)),
    'rings': _mixture(BlurredCircles(3 * np.array([1, 0.75, 0.5, 0.25]), 0.08)),
    'trimodal': _mixture(Mixture.of(THREE_CENTRES, [1, 0.5, 0.5])),
    'trimodal2': _mixture(Mixture.of(THREE_CENTRES, 0.5)),
    '8gaussians': _mixture(Mixture.of(_compass(45 * np.arange(8)) / np.sqrt(2), 0.5 / np.sqrt(2))),
    'swissroll': Toy(_swissroll),
    'circles': _mixture(BlurredCircles(np.array([3, 1.5]), 0.24)),
    'pinwheel': Toy(_pinwheel),
    'line': _on_curve(lambda x: x),
    'cos': _on_curve(lambda x: 2.5 * np.sin(x)),
    'moons_ffjord': Toy(_moons_ffjord),
    '8gaussians_ffjord': _mixture(Mixture.of(_compass(45 * np.arange(8)) / 1.414, 0.5 / 1.414)),
}
