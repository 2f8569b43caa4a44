"""A picture of a dataset: a grid of images, or points in the plane."""

import numpy as np

from train import data as datasets
from train.data import catalogue
from train.data.base import Config
from train.data.datasets.toy_densities import TOYS
from train.errors import UserError
from train.figures import plots

IMAGES, COLUMNS = 100, 10
POINTS = 2000


def png(config: Config) -> bytes:
    """The first training rows as they are stored: a grid of images; of `toy` a panel of points for each density.

    config: the data fields, see `train.data.catalogue.config_of`. Raises UserError for rows that are
    neither images nor points.
    """
    description = datasets.describe(config)
    if description.name == 'toy':
        return plots.point_sets({name: _points(name) for name in TOYS})
    if len(description.shape) != 3:
        raise UserError(
            f'--picture shows images, and points in the plane; found {description.name} with rows of '
            f'{description.num_features} numbers.'
        )
    source = datasets.load(config).source('train')
    images = source.gather(np.arange(min(IMAGES, len(source)))).reshape(-1, *description.shape)
    assert description.levels is not None  # of images
    return plots.image_grid(images / (description.levels - 1), COLUMNS)


def _points(name: str) -> np.ndarray:
    """POINTS points of a density, (n, 2)."""
    config = catalogue.config_of('toy', toy_name=name, toy_size=POINTS)
    source = datasets.load(config).source('train')
    return source.gather(np.arange(len(source)))
