"""Evaluate a trained run: `python -m train.evaluate --workdir=FOLDER [--split=validation|test] [--num_samples=N]`."""

from train import commands  # first: it prepares the environment

from absl import flags  # isort: skip

_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run.', required=True)
_SPLIT = flags.DEFINE_enum('split', 'validation', ['validation', 'test'], 'What to evaluate on.')
_NUM_SAMPLES = flags.DEFINE_integer(
    'num_samples', None, 'Importance samples of a bound.', lower_bound=1
)
_DATA_DIR = flags.DEFINE_string(
    'data_dir', None, 'Prepared TFDS directory, if not where it was in training.'
)


def main(argv):
    """Print the likelihood of the best checkpoint; a look at the test split is counted in the workdir."""
    del argv
    import json

    from train import conclusion, loading, result, workdir
    from train import data as datasets
    from train import devices as on
    from train import experiment as experiments
    from train.checkpoint import reading

    folder = workdir.resolve(_WORKDIR.value)
    config = loading.read_config(folder)
    if _NUM_SAMPLES.value:
        config.num_samples = _NUM_SAMPLES.value
    if _DATA_DIR.value:
        config.data_dir = _DATA_DIR.value
    experiment = experiments.for_use(config)
    with reading(folder) as saved:
        state, _, step = loading.restore_best(experiment, saved)
    data = datasets.load(config)
    state = on.replicate(state, experiment.devices)
    found = conclusion.evaluate(experiment, data, state, _SPLIT.value, folder, step)
    print(json.dumps(found, indent=2, sort_keys=True))
    print(result.line(_SPLIT.value, found))


if __name__ == '__main__':
    commands.run(main)
