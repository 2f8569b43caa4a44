"""Make datasets ready to train on, here and now: `python -m train.prepare --dataset=NAME|all`, or `--list`."""

import sys
from types import SimpleNamespace

from absl import app, flags, logging

from train import data
from train.errors import UserError

FLAGS = flags.FLAGS

flags.DEFINE_string('dataset', None, 'The dataset to prepare, or `all`.')
flags.DEFINE_bool('list', False, 'Print every dataset and whether it is prepared here.')
flags.DEFINE_string('data_dir', '', 'TFDS data directory to look in, and to prepare into.')
flags.DEFINE_string('manual_dir', '', 'Folder with the original files, where there is no network.')
flags.DEFINE_string('cache_dir', '', 'Local directory for the files that runs read.')
flags.DEFINE_enum(
    'source', 'map', ['map', 'memory', 'stream'], 'How runs will read: sets the files to prepare.'
)


def config_of(dataset, **fields):
    """The data fields of a config, for one dataset."""
    defaults = {'toy_name': 'sine', 'toy_size': 5000, 'seed': 0, 'source': 'map'}
    places = {'data_dir': '', 'manual_dir': '', 'cache_dir': ''}
    return SimpleNamespace(dataset=dataset, **defaults | places | fields)


def prepare(config):
    """Prepare `config.dataset` and open each split once; returns the lines to print."""
    opened = data.load(config)
    sizes = ', '.join(f'{split} {len(opened.source(split)):,}' for split in data.SPLITS)
    place = 'needs no file' if opened.location is None else f'ready in {opened.location}'
    return [
        f'{opened.name}: {sizes} examples of {opened.num_features} numbers',
        f'{opened.name}: {place}',
    ]


def listing(fields):
    """One line per dataset: D, split sizes, whether it is prepared here, licence, source."""
    rows = [('dataset', 'D', 'train', 'validation', 'test', 'prepared here', 'licence', 'source')]
    for name in data.DATASETS:
        config = config_of(name, **fields)
        known = data.describe(config)
        sizes = [f'{size:,}' for size in known.split_sizes]
        rows.append(
            (name, str(known.num_features), *sizes, _place(config), known.licence, known.origin)
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _place(config):
    try:
        place = data.locate(config)
    except UserError:
        return 'damaged'
    if place is None:
        return 'no'
    return str(place) if place else 'needs no file'


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {" ".join(argv[1:])}')
    fields = {name: FLAGS[name].value for name in ('data_dir', 'manual_dir', 'cache_dir', 'source')}
    if FLAGS.list:
        logging.set_verbosity(logging.ERROR)
        print('\n'.join(listing(fields)))
        return 0
    if FLAGS.dataset is None:
        print(
            f'--dataset=NAME or --list is needed; known: all, {", ".join(data.DATASETS)}.',
            file=sys.stderr,
        )
        return 1
    logging.set_verbosity(logging.INFO)
    names = list(data.DATASETS) if FLAGS.dataset == 'all' else [FLAGS.dataset]
    exit_code = 0
    for name in names:
        try:
            print('\n'.join(prepare(config_of(name, **fields))), flush=True)
        except UserError as error:
            print(error, file=sys.stderr)
            exit_code = error.exit_code
    return exit_code


if __name__ == '__main__':
    app.run(main)
