"""Draw from a trained run: `python -m train.sample --workdir=FOLDER [--number=100] [--seed=0] [--output=FILE]`.

`--context=3` asks a model of p(x | c) for samples of one class, or of one context, `--context=0.5,-1`; without it
classes are as frequent as in the training split, and other contexts are those of training rows. `--temperature=0.7`
scales the draws from a flow's base density.
Of a run on a table the samples are one too, in the columns and units of its file, `--format=csv|npy|parquet`; there
`--context=label=3,age=40` gives each column of the context a value.
`--inpaint` fills in hidden parts of ten test images instead, `--spectrum` shows NICE's sorted exp(-s).
"""

from typing import TYPE_CHECKING

from absl import flags

from train import cli

if TYPE_CHECKING:
    import jax
    import numpy as np
    from etils import epath
    from ml_collections import ConfigDict

    from train.contract import Model, Variables
    from train.data.base import Description
    from train.data.preprocessing import Preprocessing
    from train.data.table import Table

    Trained = tuple[Model, Variables, Preprocessing]
    Made = tuple[np.ndarray, bytes | None, str]


_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run.', required=True)
_NUMBER = flags.DEFINE_integer('number', 100, 'How many samples.', lower_bound=1)
_SEED = flags.DEFINE_integer(
    'seed', 0, 'Seed of the samples.', lower_bound=0, upper_bound=2**32 - 1
)
_OUTPUT = flags.DEFINE_string(
    'output',
    None,
    'File without ending; by default samples-, inpainting- or spectrum-<seed> in the workdir.',
)
_CONTEXT = flags.DEFINE_string(
    'context',
    None,
    'Class of all samples, or numbers with commas between them, of a model of p(x | c).',
)
_TEMPERATURE = flags.DEFINE_float(
    'temperature', 1.0, "What draws from a flow's base density are scaled by.", lower_bound=0.0
)
_FORMAT = flags.DEFINE_enum(
    'format', None, ['csv', 'npy', 'parquet'], 'Of the samples of a run on a table; csv unless set.'
)
_INPAINT = flags.DEFINE_bool('inpaint', False, 'Complete ten test images under ten masks.')
_INPAINT_STEPS = flags.DEFINE_integer('inpaint_steps', 1000, 'Steps of it.', lower_bound=0)
_SPECTRUM = flags.DEFINE_bool('spectrum', False, 'Plot the scales exp(-s) of NICE, sorted.')
_DATA_DIR = flags.DEFINE_string(
    'data_dir', None, 'Prepared TFDS directory for --inpaint, if not where it was in training.'
)

INPAINTED = 10  # test images
POINTS, SHOWN = 10_000, 1000  # samples in a picture: points, images


def main(argv: list[str]) -> None:
    """Write a table, or an array as .npy and, for images, points in the plane and the spectrum, a picture as .png."""
    del argv
    from train.errors import UserError
    from train.library import pretrained
    from train.models.temperature import tempered
    from train.runtime import compilation, workdir
    from train.step.randomness import purpose_key

    _check_flags()
    folder = workdir.resolve(_WORKDIR.value)
    compilation.use_cache(pretrained.read_config(folder).compilation_cache)
    experiment, state, step = pretrained.restore(folder)
    config, known = experiment.config, experiment.description
    trained = (tempered(experiment.model, _TEMPERATURE.value), state.variables, state.preprocessing)
    key = purpose_key(_SEED.value, 'sample')
    table = known.table
    if table is not None and table.columns and not (_SPECTRUM.value or _INPAINT.value):
        _write_table(folder, table, trained, key)
        return
    if _FORMAT.value not in (None, 'npy'):
        raise UserError(
            f'--format={_FORMAT.value} is of a table; found a run on {known.name}: leave it out, for a .npy.'
        )
    if _SPECTRUM.value:
        name, made = 'spectrum', _spectrum(*trained)
    elif _INPAINT.value:
        name, made = 'inpainting', _inpainting(config, trained, key, folder, step)
    else:
        name, made = 'samples', _samples(known, trained, key)
    path = workdir.output(_OUTPUT.value or f'{folder}/', f'{name}-{_SEED.value}')
    _save(path, *made)


def _check_flags() -> None:
    """Refuse what is of samples beside what is none."""
    from train.errors import UserError

    for flag in (_CONTEXT, _TEMPERATURE, _NUMBER):
        if flags.FLAGS[flag.name].present and (_INPAINT.value or _SPECTRUM.value):
            raise UserError(
                f'--{flag.name} is that of samples; found it beside --inpaint or --spectrum, which draw none: leave it '
                'out.'
            )


def _write_table(
    folder: 'epath.Path', table: 'Table', trained: 'Trained', key: 'jax.Array'
) -> None:
    """Samples in the columns of a run's file."""
    from train.runtime import workdir
    from train.tabular import output, samples

    _check_memory(len(table.used))
    context = _context(trained[2])
    path = workdir.output(_OUTPUT.value or f'{folder}/', f'samples-{_SEED.value}')
    path = path.with_name(f'{path.name}.{_FORMAT.value or "csv"}')
    output.write(path, samples.draw(trained, table, key, _NUMBER.value, context))
    print(f'{_NUMBER.value} samples are in {path}')


def _samples(known: 'Description', trained: 'Trained', key: 'jax.Array') -> 'Made':
    """(array in data space, picture or None, what it is): not clipped, which only a picture needs."""
    import jax
    import numpy as np

    from train.errors import UserError
    from train.figures import plots, showing

    _check_memory(known.num_features)
    model, _, preprocessing = trained
    if not model.is_onto:
        raise UserError(model.warning)
    text, drawn = _context(preprocessing), preprocessing.context
    context = None if text is None or drawn is None else drawn.read(text)
    shape = known.shape
    samples = showing.draw_blocks(*trained, key, _NUMBER.value, context)
    samples = samples.reshape(-1, *shape)
    png = None
    if len(shape) == 3:
        shown = np.asarray(preprocessing.to_display(jax.numpy.asarray(samples[:SHOWN])))
        png = plots.image_grid(shown, 10)
    elif shape == (2,):
        png = plots.points(samples[:POINTS])
    what = (
        'means of p(x|z), one for each z from the prior,'
        if showing.of_means(model, preprocessing)
        else 'samples'
    )
    return samples, png, f'{_NUMBER.value} {what} are'


def _context(preprocessing: 'Preprocessing') -> str | None:
    """The context that is asked for; UserError where the run has none."""
    from train.errors import UserError

    if _CONTEXT.value is not None and preprocessing.context is None:
        raise UserError(
            f'--context needs a run of p(x | c), trained with config.context; found --context={_CONTEXT.value} for a '
            'run without: leave it out.'
        )
    return _CONTEXT.value


def _check_memory(numbers: int) -> None:
    """Refuse more samples, of so many numbers each, than the memory holds."""
    import psutil

    from train.errors import UserError

    free = psutil.virtual_memory().available
    row = 4 * numbers
    if _NUMBER.value * row > free:
        raise UserError(
            f'--number must be at most {free // row} for {row} bytes a sample in the {free / 1e9:.1f} GB of memory '
            f'that are free; found {_NUMBER.value}.'
        )


def _inpainting(
    config: 'ConfigDict', trained: 'Trained', key: 'jax.Array', folder: 'epath.Path', step: int
) -> 'Made':
    """(completed images (10, 10, H, W, C), picture, what happened); a look at the test split, which is counted."""
    import numpy as np

    from train import data as datasets
    from train.diagnostics import inpaint
    from train.figures import plots
    from train.training import conclusion

    if _DATA_DIR.value:
        config.data_dir = _DATA_DIR.value
    shape = datasets.describe(config).shape
    inpaint.check(trained[0], shape)
    conclusion.count_test_look(folder, step)
    raw = datasets.load(config).source('test').gather(np.arange(INPAINTED))
    inpainted = inpaint.complete(*trained, raw, shape, key, _INPAINT_STEPS.value)
    for mask, before, after in zip(
        inpainted['masks'], inpainted['before'], inpainted['after'], strict=True
    ):
        print(f'{mask}: {before.mean():.1f} -> {after.mean():.1f} nats in data space')
    png = plots.image_grid(inpaint.panel(inpainted, shape), INPAINTED)
    return inpainted['completed'].reshape(-1, INPAINTED, *shape), png, 'completed images are'


def _spectrum(model: 'Model', variables: 'Variables', preprocessing: 'Preprocessing') -> 'Made':
    """(exp(-s), largest first, picture, what it is) of a NICE."""
    del preprocessing
    import numpy as np

    from train.errors import UserError
    from train.figures import plots

    if 'scaling' not in variables['params']:
        raise UserError(
            f'--spectrum needs a model with a diagonal scaling, NICE; found {type(model).__name__}.'
        )
    scales = np.sort(np.exp(-np.asarray(variables['params']['scaling']['s'], np.float64)))[::-1]
    return scales, plots.spectrum(scales), 'the scales exp(-s), largest first, are'


def _save(path: 'epath.Path', array: 'np.ndarray', png: bytes | None, what: str) -> None:
    import numpy as np

    from train.runtime.writers import save_png

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f'{path.name}.npy').open('wb') as file:
        np.save(file, array)
    if png is not None:
        save_png(path.with_name(f'{path.name}.png'), png)
    print(f'{what} in {path}.npy')


if __name__ == '__main__':
    cli.run(main)
