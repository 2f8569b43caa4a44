"""What a mean log-density in data space means, and how it turns into bits per dimension."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Units:
    """Units of log-densities in data space.

    `levels`: grey levels of quantised data, whose data space is (0, 1)^D; None for real-valued
    data, whose data space is that of the stored numbers.
    """

    levels: int | None

    @property
    def data_space(self):
        """What the data space is, in words."""
        return 'real numbers as stored' if self.levels is None else 'pixel values in (0, 1)'

    def bits_per_dim(self, log_p, num_features):
        """Bits per dimension of `log_p`, nats in data space; None for real-valued data."""
        if self.levels is None:
            return None
        return math.log2(self.levels) - log_p / (num_features * math.log(2))
