"""Draw from a trained run: `python -m train.sample --workdir=FOLDER [--number=100] [--seed=0] [--output=FILE]`."""

from train import commands  # first: it prepares the environment

from absl import flags  # isort: skip

_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run.', required=True)
_NUMBER = flags.DEFINE_integer('number', 100, 'How many samples.', lower_bound=1)
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the samples.')
_OUTPUT = flags.DEFINE_string(
    'output', None, 'File without ending; by default samples-<seed> in the workdir.'
)


def main(argv):
    """Write the samples in data space as .npy and, for images and points in the plane, as .png."""
    del argv
    import numpy as np

    from train import data as datasets
    from train import loading, pictures, showing, workdir
    from train.randomness import purpose_key
    from train.writers import save_png

    folder = workdir.resolve(_WORKDIR.value)
    model, variables, preprocessing = loading.load(folder)
    shape = datasets.describe(loading.read_config(folder)).shape
    key = purpose_key(_SEED.value, 'sample')
    samples = showing.draw(model, variables, preprocessing, key, _NUMBER.value)
    path = workdir.resolve(_OUTPUT.value) if _OUTPUT.value else folder / f'samples-{_SEED.value}'
    with path.with_suffix('.npy').open('wb') as file:
        np.save(file, samples.reshape(-1, *shape))
    if len(shape) == 3:
        save_png(path.with_suffix('.png'), pictures.image_grid(samples.reshape(-1, *shape), 10))
    elif shape == (2,):
        save_png(path.with_suffix('.png'), pictures.points(samples))
    print(f'{_NUMBER.value} samples are in {path.with_suffix(".npy")}')


if __name__ == '__main__':
    commands.run(main)
