"""Train many seeds at once: `python -m train.study --config=configs/study_toy.py --config.num_seeds=10`."""

from absl import flags, logging
from ml_collections import config_flags

from train import cli

_CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'A file of configs/, with :variant behind it for a variant.', lock_config=True
)
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Folder of the study; by default runs/<config>-<hash of what defines it>.'
)
_MUTE = flags.DEFINE_bool(
    'mute',
    False,
    'No progress bar and no line of each epoch; what goes wrong and the end are printed.',
)


def main(argv: list[str]) -> None:
    """Train, or go on; the last lines are the study's table."""
    del argv
    from train.runtime import compilation, workdir
    from train.studies import training

    config, name = cli.config_of(_CONFIG)
    compilation.use_cache(config.compilation_cache)
    folder = workdir.resolve(_WORKDIR.value or workdir.default_path(config, name, 'study-'))
    logging.info('Workdir: %s', folder)
    training.run(config, folder, mute=_MUTE.value)
    print((folder / 'study.md').read_text())


if __name__ == '__main__':
    cli.run(main)
