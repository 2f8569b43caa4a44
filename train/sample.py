"""Draw from a trained run: `python -m train.sample --workdir=FOLDER [--number=100] [--seed=0] [--output=FILE]`.

`--context=3` asks a model of p(x | c) for samples of one class, or of one context, `--context=0.5,-1`; without it
classes are as frequent as in the training split, and other contexts are those of training rows.
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
    from train.data.preprocessing import Preprocessing

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
_INPAINT = flags.DEFINE_bool('inpaint', False, 'Complete ten test images under ten masks.')
_INPAINT_STEPS = flags.DEFINE_integer('inpaint_steps', 1000, 'Steps of it.', lower_bound=0)
_SPECTRUM = flags.DEFINE_bool('spectrum', False, 'Plot the scales exp(-s) of NICE, sorted.')
_DATA_DIR = flags.DEFINE_string(
    'data_dir', None, 'Prepared TFDS directory for --inpaint, if not where it was in training.'
)

INPAINTED = 10  # test images
SHOWN = 1000  # samples in a picture of images
POINTS = 10_000  # in one of the plane


def main(argv: list[str]) -> None:
    """Write an array as .npy and, for images, points in the plane and the spectrum, a picture as .png."""
    del argv
    from train import pretrained
    from train.errors import UserError
    from train.runtime import compilation, workdir
    from train.step.randomness import purpose_key

    if _CONTEXT.value is not None and (_INPAINT.value or _SPECTRUM.value):
        raise UserError(
            '--context is that of samples; found it beside --inpaint, where each image has its own, or --spectrum, '
            'which has none: leave it out.'
        )
    folder = workdir.resolve(_WORKDIR.value)
    compilation.use_cache(pretrained.read_config(folder).compilation_cache)
    experiment, state, step = pretrained.restore(folder)
    config, trained = experiment.config, (experiment.model, state.variables, state.preprocessing)
    key = purpose_key(_SEED.value, 'sample')
    if _SPECTRUM.value:
        name, made = 'spectrum', _spectrum(*trained)
    elif _INPAINT.value:
        name, made = 'inpainting', _inpainting(config, trained, key, folder, step)
    else:
        name, made = 'samples', _samples(config, trained, key)
    path = workdir.output(_OUTPUT.value or f'{folder}/', f'{name}-{_SEED.value}')
    _save(path, *made)


def _samples(config: 'ConfigDict', trained: 'Trained', key: 'jax.Array') -> 'Made':
    """(array in data space, picture or None, what it is): not clipped, which only a picture needs."""
    import jax
    import numpy as np

    from train import data as datasets
    from train.errors import UserError
    from train.figures import plots, showing

    _check_memory(config)
    model, _, preprocessing = trained
    if not model.is_onto:
        raise UserError(model.warning)
    shape = datasets.describe(config).shape
    samples = showing.draw_blocks(*trained, key, _NUMBER.value, _context(preprocessing))
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


def _context(preprocessing: 'Preprocessing') -> 'np.ndarray | None':
    """The context (C,) that is asked for; UserError where the run has none."""
    from train.errors import UserError

    if _CONTEXT.value is None:
        return None
    if preprocessing.context is None:
        raise UserError(
            f'--context needs a run of p(x | c), trained with config.context=label; found --context={_CONTEXT.value} '
            'for a run without: leave it out.'
        )
    return preprocessing.context.read(_CONTEXT.value)


def _check_memory(config: 'ConfigDict') -> None:
    """Refuse more samples than the memory holds."""
    import psutil

    from train import data as datasets
    from train.errors import UserError

    free = psutil.virtual_memory().available
    row = 4 * datasets.describe(config).num_features
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

    from train import conclusion
    from train import data as datasets
    from train.diagnostics import inpaint
    from train.figures import plots

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
