"""What a mean log-density in data space means, and how it turns into bits per dimension."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Units:
    """Units of log-densities in data space.

    `levels`: grey levels of quantised data, whose data space is (0, 1)^D; 1 for binary data and
    whole grey levels, of which a model gives probabilities, so that there is no volume to account
    for; None for real-valued data, whose data space is that of the stored numbers. `pixels`: the numbers are
    images, to be clipped to [0, 1] for display, also where `levels` is None: pixels that were not
    dequantised have a density, unbounded above, and no bits per dimension. `white`: the largest
    value of a pixel.
    """

    levels: int | None
    pixels: bool = False
    white: int = 1

    @property
    def is_image(self) -> bool:
        """Whether values outside [0, 1] are clipped in pictures."""
        return self.pixels or self.levels is not None

    def bits_per_dim(self, log_p: float, num_features: int) -> float | None:
        """Bits per dimension of `log_p`, nats in data space; None for real-valued data."""
        if self.levels is None:
            return None
        return math.log2(self.levels) - log_p / (num_features * math.log(2))
