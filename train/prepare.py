"""Make datasets ready to train on: `python -m train.prepare --dataset=NAME|all`, or see them with `--list`.

`--dataset=NAME --picture=FILE.png` also draws its first rows: a grid of images, or every toy density.
"""

from typing import TYPE_CHECKING

from absl import flags

from train import cli

if TYPE_CHECKING:
    from train.data.base import Config

_DATASET = flags.DEFINE_string('dataset', None, 'The dataset to prepare, or `all` of them.')
_LIST = flags.DEFINE_bool('list', False, 'Print every dataset and whether it is prepared here.')
_DATA_DIR = flags.DEFINE_string(
    'data_dir', '', 'TFDS data directory to look in, and to prepare into.'
)
_MANUAL_DIR = flags.DEFINE_string(
    'manual_dir', '', 'Folder with the original files, where there is no network.'
)
_CACHE_DIR = flags.DEFINE_string('cache_dir', '', 'Local directory for the files that runs read.')
_PICTURE = flags.DEFINE_string(
    'picture',
    None,
    'A .png file for a picture of the first training rows; of `toy` of all densities.',
)


def main(argv: list[str]) -> None:
    """Print what is ready, one dataset after the other; with `all`, one that fails stops no other."""
    del argv
    import sys

    from absl import logging

    from train.data import DATASETS, catalogue, registry
    from train.errors import UserError

    fields = {
        'data_dir': _DATA_DIR.value,
        'manual_dir': _MANUAL_DIR.value,
        'cache_dir': _CACHE_DIR.value,
    }
    if _LIST.value:
        logging.set_verbosity(logging.ERROR)
        print('\n'.join(catalogue.listing(**fields)))
        return
    if _DATASET.value is None:
        raise UserError(f'--dataset must be all or one of {", ".join(DATASETS)}; or use --list.')
    if _PICTURE.value:
        _draw(catalogue.config_of(_DATASET.value, **fields), _PICTURE.value)
        return
    named = [name for name in DATASETS if name != registry.OWN]
    names = named if _DATASET.value == 'all' else [_DATASET.value]
    failed = []
    for name in names:
        try:
            lines = catalogue.prepare(catalogue.config_of(name, **fields))
        except UserError as error:
            if len(names) == 1:
                raise
            failed.append(name)
            print(error, file=sys.stderr)
        else:
            print('\n'.join(lines), flush=True)
    if failed:
        raise UserError(
            f'{len(failed)} of {len(names)} datasets are not ready: {", ".join(failed)}.'
        )


def _draw(config: 'Config', path: str) -> None:
    import pathlib

    from train.errors import UserError
    from train.figures import datasets
    from train.runtime.writers import save_png

    if not path.endswith('.png'):
        raise UserError(f'--picture must name a .png file; found {path}.')
    save_png(pathlib.Path(path), datasets.png(config))
    print(f'A picture of {config.dataset} is in {path}')


if __name__ == '__main__':
    cli.run(main)
