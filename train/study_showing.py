"""Pictures of what each seed of a study learnt: samples, and densities in the plane."""

import jax
import numpy as np

from train import pictures, showing
from train.randomness import purpose_key
from train.writers import save_png

IMAGES, POINTS = 10, 2000  # samples of a seed
GRID = 80  # points of a density along each axis


def show(study, best, trained, workdir):
    """Save `samples.png` and, for data in the plane, `densities.png`; other data have no picture.

    Images: one row of samples for each seed. Points in the plane: one panel for each seed, beside the data and their
    density where it is known. All seeds draw from the same noise.

    study: the `Study`. best: state of each seed's best epoch on the host, leading axis (seeds, ...) but for what they
    share. trained: (seeds,) bool, whether a seed ever had a best epoch; one that had none is left blank.
    """
    shape = study.experiment.description.shape
    if len(shape) != 3 and shape != (2,):
        return
    seeds = _seeds(study, best, trained)
    if showing.can_sample(study.experiment.model):
        save_png(workdir / 'samples.png', _samples(study, seeds, shape))
    if shape == (2,):
        save_png(workdir / 'densities.png', _densities(study, seeds))


def _seeds(study, best, trained):
    """Title -> (model, variables, preprocessing) of each seed, None for one that never had a best epoch."""
    found = {}
    for position, ever in enumerate(trained):
        variables = jax.tree.map(lambda leaf, i=position: leaf[i], best.variables)
        parts = (study.experiment.model, variables, best.preprocessing)
        found[f'seed {study.config.seed + position}'] = parts if ever else None
    return found


def _each(seeds, function):
    """Title -> function(model, variables, preprocessing), or None."""
    return {title: parts and function(*parts) for title, parts in seeds.items()}


def _samples(study, seeds, shape):
    key = purpose_key(study.config.seed, 'sample')
    number = IMAGES if len(shape) == 3 else POINTS
    drawn = _each(seeds, lambda *parts: showing.draw(*parts, key, number))
    if shape == (2,):
        data = _data(study)
        return pictures.scatters({'data': data, **drawn}, data)
    blank = np.ones((IMAGES, *shape), np.float32)
    rows = [blank if row is None else row.reshape(-1, *shape) for row in drawn.values()]
    return pictures.image_grid(np.concatenate(rows), IMAGES)


def _densities(study, seeds):
    points, extent = pictures.plane_grid(_data(study), GRID)
    known = {}
    if study.data.log_density is not None:
        known['data'] = study.data.log_density(points)
    drawn = _each(seeds, lambda *parts: showing.log_density(*parts, points))
    return pictures.densities({**known, **drawn}, extent)


def _data(study):
    """Up to POINTS points of the validation split, (n, 2)."""
    validation = study.data.source('validation')
    return validation.gather(np.arange(min(POINTS, len(validation))))
