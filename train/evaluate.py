"""Evaluate a trained run: `python -m train.evaluate --workdir=FOLDER [--split=validation|test] [--num_samples=N]`.

`--importance=refined` draws the importance samples of a bound from a Gaussian fitted to each example instead of from
the model's own posterior, see `vaes.refined`; the default is what the run's config says. `--examples=N` takes the
first N of the split alone, where many samples of all of them would take too long.
`--gaps` says instead how far the bound of a latent-variable model is below the likelihood, and how much of that is due
to the family of its posteriors, how much to the encoder.
"""

from absl import flags

from train import cli

_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run.', required=True)
_SPLIT = flags.DEFINE_enum('split', 'validation', ['validation', 'test'], 'What to evaluate on.')
_NUM_SAMPLES = flags.DEFINE_integer(
    'num_samples', None, 'Importance samples of a bound.', lower_bound=1
)
_IMPORTANCE = flags.DEFINE_enum(
    'importance', None, ['posterior', 'refined'], 'What importance samples are drawn from.'
)
_GAPS = flags.DEFINE_bool('gaps', False, 'Inference, approximation and amortisation gap.')
_EXAMPLES = flags.DEFINE_integer(
    'examples', None, 'Only the first so many examples of the split; 100 for --gaps.', lower_bound=2
)
_DATA_DIR = flags.DEFINE_string(
    'data_dir', None, 'Prepared TFDS directory, if not where it was in training.'
)

GAP_EXAMPLES = 100  # each is optimised for


def main(argv: list[str]) -> None:
    """Print the likelihood of the best checkpoint; a look at the test split is counted in the workdir."""
    del argv
    import json

    from train import data as datasets
    from train.diagnostics import gaps
    from train.library import described, pretrained
    from train.runtime import compilation, workdir
    from train.runtime.checkpoint import reading
    from train.training import conclusion
    from train.training import experiment as experiments

    folder = workdir.resolve(_WORKDIR.value)
    config = pretrained.read_config(folder)
    compilation.use_cache(config.compilation_cache)
    if _NUM_SAMPLES.value:
        config.num_samples = _NUM_SAMPLES.value
    if _IMPORTANCE.value:
        config.importance = _IMPORTANCE.value
    if _DATA_DIR.value:
        config.data_dir = _DATA_DIR.value
    experiment = experiments.for_use(config, described.read(folder, config))
    _check_flags(exact=experiment.model.exact)
    if _GAPS.value:
        gaps.check(config, experiment.model)
    with reading(folder) as saved:
        state, _, step = saved.restore_best(experiment.template(), experiment.steps_per_epoch)
    examples = _EXAMPLES.value or (GAP_EXAMPLES if _GAPS.value else 0)
    if examples:
        config.max_rows = min(examples, config.max_rows or examples)
    described.check(folder, config)
    data = datasets.load(config)
    state = experiment.layout.place(state)
    split = _SPLIT.value
    if _GAPS.value:
        if split == 'test':
            conclusion.count_test_look(folder, step)
        figures = gaps.measure(experiment, data, state, split)
        line = gaps.line(figures)
    else:
        evaluation = conclusion.evaluate(experiment, data, state, split, folder, step)
        figures, line = evaluation.to_json(), evaluation.line()
    print(json.dumps(figures, indent=2, sort_keys=True))
    print(line)


def _check_flags(*, exact: bool) -> None:
    """Refuse what would have no effect."""
    from train.errors import UserError

    given = [flag for flag in (_NUM_SAMPLES, _IMPORTANCE) if flag.value is not None]
    if exact and given:
        raise UserError(
            f'--{given[0].name} is of a bound, and the likelihood of this model is exact: leave it out.'
        )
    if _GAPS.value and _IMPORTANCE.value is not None:
        raise UserError(
            '--importance is of a likelihood; found it beside --gaps, which draws from the posterior: leave it out.'
        )


if __name__ == '__main__':
    cli.run(main)
