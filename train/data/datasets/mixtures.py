"""Mixtures of isotropic Gaussians and of blurred circles in the plane: samples, exact log-density."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Mixture:
    """p(x) = sum_k weights_k N(x; centres_k, stds_k^2 I) with centres (K, 2)."""

    centres: np.ndarray
    stds: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, centres: ArrayLike, stds: ArrayLike, weights: ArrayLike | None = None) -> 'Mixture':
        """A mixture from lists; `stds` may be one for all, and weights are equal unless given."""
        centres = np.asarray(centres, float)
        k = len(centres)
        weights = np.full(k, 1 / k) if weights is None else np.asarray(weights, float)
        return cls(centres, np.broadcast_to(np.asarray(stds, float), (k,)), weights)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """n points (n, 2)."""
        k = rng.choice(len(self.weights), size=n, p=self.weights)
        return self.centres[k] + self.stds[k, None] * rng.standard_normal((n, 2))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """x (n, 2) -> (n,) nats."""
        squares = ((x[:, None, :] - self.centres[None]) ** 2).sum(-1)  # (n, K)
        variances = self.stds[None] ** 2
        terms = (
            np.log(self.weights)[None] - np.log(2 * np.pi * variances) - squares / (2 * variances)
        )
        return np.logaddexp.reduce(terms, axis=1)


@dataclass(frozen=True)
class BlurredCircles:
    """Circles around the origin, equally likely, blurred by N(0, std^2 I)."""

    radii: np.ndarray
    std: float

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """n points (n, 2)."""
        radius, angle = rng.choice(self.radii, n), rng.uniform(0, 2 * np.pi, n)
        circle = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return circle + self.std * rng.standard_normal((n, 2))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """x (n, 2) -> (n,) nats.

        A circle of radius R has the density exp(-(r^2 + R^2) / 2 s^2) I_0(r R / s^2) / (2 pi s^2).
        """
        from scipy.special import i0e  # only circles need a Bessel function

        r, radii = np.linalg.norm(x, axis=1)[:, None], self.radii[None]
        exponent = -((r - radii) ** 2) / (2 * self.std**2)
        terms = exponent + np.log(i0e(r * radii / self.std**2))
        normaliser = len(self.radii) * 2 * np.pi * self.std**2
        return np.logaddexp.reduce(terms, axis=1) - np.log(normaliser)
