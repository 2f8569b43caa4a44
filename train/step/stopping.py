"""Look-ahead early stopping as a value."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Stopping:
    """Stops when `look_ahead` epochs have passed without a strictly lower loss.

    best: the lowest loss so far (nats, lower is better); best_epoch: its epoch, 0 while there is none.
    epoch: the last epoch seen.
    """

    look_ahead: int
    best: float = math.inf
    best_epoch: int = 0
    epoch: int = 0

    def update(self, epoch: int, loss: float) -> 'Stopping':
        """The state after an epoch with this loss. A loss that is not a number is never an improvement."""
        if loss < self.best:
            return dataclasses.replace(self, best=float(loss), best_epoch=epoch, epoch=epoch)
        return dataclasses.replace(self, epoch=epoch)

    @property
    def improved(self) -> bool:
        """Whether the last epoch seen is the best one."""
        return self.epoch > 0 and self.epoch == self.best_epoch

    @property
    def should_stop(self) -> bool:
        """Whether the patience is used up."""
        return self.epoch - self.best_epoch >= self.look_ahead
