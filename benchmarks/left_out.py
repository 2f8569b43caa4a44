"""What one affine layer loses by the term that the published relative gradient leaves out, on the rows of MNIST.

    python -m benchmarks.left_out [--seed=42]

Without -b in the gradient of b, the update of y = x W + b under a standard Gaussian base stands still where mean(y) =
-b, log(1 + a^2 / 4) / 2 nats below the optimum, with a^2 = mu Sigma^-1 mu^T of the data's mean mu and covariance Sigma:
docs/relative_gradient_revisited.md has the derivation, and a test its check. Here a^2, and the ends of the spectrum of
Sigma, of the 50,000 training rows in logit space, dequantised once.
"""

import argparse
import math

import numpy as np

from benchmarks.published_training import rows_of_splits
from benchmarks.tools import timing

NAME = 'left_out'


def moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """mu (D,) and Sigma (D, D) of rows (N, D), in float64."""
    mean = rows.mean(0, dtype=np.float64)
    centred = rows - mean[None]
    return mean, centred.T @ centred / len(rows)


def mahalanobis(mean: np.ndarray, covariance: np.ndarray) -> float:
    """a^2 = mu Sigma^-1 mu^T."""
    return float(mean @ np.linalg.solve(covariance, mean))


def excess_nats(mahalanobis: float) -> float:
    """How far below the optimum the likelihood is at the fixed point of the published update."""
    return math.log1p(mahalanobis / 4) / 2


def main() -> None:
    """Measure, print, and write `results/benchmarks/left_out.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seed', type=int, default=42)
    options = parser.parse_args()
    mean, covariance = moments(rows_of_splits(np.random.default_rng(options.seed))['train'])
    spectrum, squared = np.linalg.eigvalsh(covariance), mahalanobis(mean, covariance)
    found = {
        'mahalanobis': squared,
        'excess_nats': excess_nats(squared),
        'smallest_eigenvalue': float(spectrum[0]),
        'largest_eigenvalue': float(spectrum[-1]),
        'seed': options.seed,
    }
    timing.record(NAME, f'python -m benchmarks.{NAME}', found)


if __name__ == '__main__':
    main()
