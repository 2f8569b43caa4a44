"""`python -m train.prepare --dataset=mnist`: make a dataset ready to train on, here and now."""

import sys
from types import SimpleNamespace

from absl import app, flags, logging

from train import data
from train.errors import UserError

FLAGS = flags.FLAGS

flags.DEFINE_string('dataset', None, 'The dataset to prepare.', required=True)
flags.DEFINE_string('data_dir', '', 'TFDS data directory to look in, and to prepare into.')
flags.DEFINE_string('manual_dir', '', 'Folder with the original files, where there is no network.')
flags.DEFINE_string('cache_dir', '', 'Local directory for the memory-mapped arrays.')


def prepare(config):
    """Prepare `config.dataset` and open each split once; returns the lines to print."""
    opened = data.load(config)
    sizes = ', '.join(f'{split} {len(opened.source(split)):,}' for split in data.SPLITS)
    place = 'needs no file' if opened.location is None else f'ready in {opened.location}'
    return [
        f'{opened.name}: {sizes} examples of {opened.num_features} numbers',
        f'{opened.name}: {place}',
    ]


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {" ".join(argv[1:])}')
    logging.set_verbosity(logging.INFO)
    config = SimpleNamespace(
        dataset=FLAGS.dataset,
        toy_name='sine',
        toy_size=5000,
        seed=0,
        data_dir=FLAGS.data_dir,
        manual_dir=FLAGS.manual_dir,
        cache_dir=FLAGS.cache_dir,
    )
    try:
        print('\n'.join(prepare(config)))
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == '__main__':
    app.run(main)
