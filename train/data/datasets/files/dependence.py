"""Whether columns depend on one another linearly: then they have no joint density, and a likelihood has no bound."""

from collections.abc import Mapping, Sequence

import numpy as np

SINGULAR = 1e-10  # least variance, of columns of variance 1, that is taken for more than rounding
MOST_COLUMNS = 1000  # beyond which the question takes longer than reading the table


class Dependence:
    """Moments of columns, gathered block by block."""

    def __init__(self) -> None:
        self._names: Sequence[str] = ()
        self._count = 0
        self._shift = self._scale = self._sum = self._products = np.zeros(0)

    def add(self, columns: Mapping[str, np.ndarray]) -> None:
        """A block of rows: float64 (n,) for each name, the same names each time."""
        if not 1 < len(columns) <= MOST_COLUMNS:
            return
        x = np.column_stack(list(columns.values()))
        if not self._count:
            self._names = tuple(columns)
            spread = x.std(axis=0)
            self._shift, self._scale = x.mean(axis=0), np.where(spread > 0, spread, 1)
            self._sum, self._products = np.zeros(x.shape[1]), np.zeros((x.shape[1],) * 2)
        y = (x - self._shift) / self._scale
        self._count += len(x)
        self._sum = self._sum + y.sum(axis=0)
        self._products = self._products + y.T @ y

    def found(self) -> list[str]:
        """Columns of which one follows from the others, [] where there are none or too few rows to say."""
        if self._count <= 2 * len(self._names) or not self._products.size:
            return []
        mean = self._sum / self._count
        covariance = self._products / self._count - np.outer(mean, mean)
        spread = np.sqrt(np.maximum(np.diagonal(covariance), np.finfo(float).tiny))
        variances, directions = np.linalg.eigh(covariance / np.outer(spread, spread))
        if variances[0] > SINGULAR:
            return []
        weights = np.abs(directions[:, 0])
        return [name for name, weight in zip(self._names, weights, strict=True) if weight > 1e-3]
