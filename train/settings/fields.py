"""Every field of a config, each described once: its default, rule and meaning; `--help` prints what stands here.

Fields of one model or one family alone are in `train.models`, in the row of that model. Known names stand here as
words, for their registries import JAX; a test holds the two equal.
"""

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

from train.models import MODELS, own_group
from train.settings.rules import (
    ABOVE_ZERO,
    AT_LEAST_ZERO,
    MOST_LAYERS,
    SWITCH,
    TEXT,
    Field,
    Rule,
    below,
    one_of,
    whole,
)

MOST_SAMPLES = 10**8
MOST_POINTS = 10**8  # of a toy density, which lie in memory
MOST_COLUMNS = 10_000  # of sources, with a matrix of as many rows
MOST_SEEDS = 10_000

DATASETS = (
    *('toy', 'digits', 'mnist', 'binarised_mnist', 'fashion_mnist', 'cifar10', 'svhn_cropped'),
    *('omniglot', 'power', 'gas', 'hepmass', 'miniboone', 'bsds300', 'ica', 'file'),
)
TOYS = (
    *('sine', 'moons', 'smile', '2spirals', 'checkerboard', 'rings', 'trimodal', 'trimodal2'),
    *('8gaussians', 'swissroll', 'circles', 'pinwheel', 'line', 'cos', 'moons_ffjord'),
    '8gaussians_ffjord',
)
ICA_SOURCES = ('laplace', 'super_gaussian', 'gennorm', 'uniform', 'mixed')
PRESETS = (
    *('none', 'logit', 'logit_mean', 'logit_rms', 'standardise', 'mean', 'zca', 'unit'),
    *('pixel_mean', 'binarise', 'levels'),
)
NONLINEARITIES = ('smooth_leaky_relu', 'leaky_tanh', 'elu', 'softplus', 'spline')
OPTIMIZERS = ('adam', 'adamw', 'adamax', 'sgd', 'equivariant', 'scoring')
# What other packages add, see `train.plugins`: field -> name -> a dataset, a preset.
OTHERS: dict[str, dict[str, Any]] = {'dataset': {}, 'preprocessing': {}}
OWN = ', or module:attribute of your own'
PRECISIONS = ('highest', 'high', 'default', 'float32', 'tensorfloat32', 'bfloat16')
VARIED = ('init', 'order', 'noise')
TRACKERS = ('wandb', 'mlflow')

SEED = Rule(lambda value: 0 <= value < 2**32, 'lie in 0 .. 2**32 - 1')
OWN_SEED = Rule(
    lambda value: -1 <= value < 2**32, 'lie in 0 .. 2**32 - 1, or be -1 for config.seed'
)
NAMES_OF_SEEDS = Rule(
    lambda value: set(value.split(',')) <= {'', *VARIED}, f'name some of {",".join(VARIED)}'
)
NAMES_OF_TRACKERS = Rule(
    lambda value: set(value.split(',')) <= {'', *TRACKERS},
    f'name some of {",".join(TRACKERS)}, or be empty',
)


def _named(known: Collection[str], others: Collection[str] = ()) -> Rule:
    """One of some names, to which plug-ins may add, or a plug-in."""
    return Rule(
        lambda value: value in known or value in others or ':' in value,
        f'be one of {", ".join(known)}{OWN}',
    )


MODEL = (
    Field('model', 'mlp_flow', _named(MODELS), 'see `python -m train.main --list`'),
    Field(
        'prior',
        'gaussian',
        one_of('gaussian', 'logistic', 'hyperbolic_secant'),
        "the flow's factorial base density",
    ),
    Field('num_layers', 2, whole(1, MOST_LAYERS), 'affine layers, an activation after all but one'),
    Field('nonlinearity', 'smooth_leaky_relu', one_of(*NONLINEARITIES), 'that activation'),
    Field(
        'alpha',
        0.01,
        AT_LEAST_ZERO,
        'slope of smooth_leaky_relu, and of where spline starts, on the left; scale of elu',
    ),
    Field('bias', True, SWITCH, 'whether the affine layers have one'),
    Field(
        'kl',
        'sample',
        one_of('sample', 'analytic'),
        'sample: at the one draw, as published; analytic: where it has a closed form',
    ),
    Field(
        'kl_warmup_steps',
        0,
        whole(0),
        'steps over which the weight of the KL in the loss grows from 0 to 1',
    ),
)
# Of dataset=array, as `train.fit` sets them.
ARRAY = (
    Field('array.digest', '', TEXT, 'of the rows, which are not stored'),
    Field('array.rows', 0, whole(0), 'N, before they are split'),
    Field('array.columns', 0, whole(0), 'D'),
    Field('array.context', 0, whole(0), 'C, classes or columns of the context; 0: none'),
    Field('array.labelled', False, SWITCH, 'whether the context is a class'),
    Field(
        'array.names', '', TEXT, 'of the columns of a table, those of its context behind, as JSON'
    ),
)
DATA = (
    Field(
        'dataset',
        'mnist',
        _named((*DATASETS, 'array'), OTHERS['dataset']),
        'see `python -m train.prepare --list`; array: by train.fit',
    ),
    Field('toy_name', 'sine', one_of(*TOYS), 'which density, for dataset=toy'),
    Field('toy_size', 5000, whole(1, MOST_POINTS), 'rows of each split, for dataset=toy'),
    Field(
        'ica_sources',
        'super_gaussian',
        one_of(*ICA_SOURCES),
        'densities of the sources, by turns, for dataset=ica',
    ),
    Field('ica_columns', 20, whole(1, MOST_COLUMNS), 'D, how many sources, for dataset=ica'),
    Field('ica_rows', 10_000, whole(1, MOST_POINTS), 'training rows, for dataset=ica'),
    Field('max_rows', 0, whole(0), 'only the first so many rows of each split, to try out; 0: all'),
    Field(
        'path',
        '',
        TEXT,
        'for dataset=file: .csv, .parquet, .npy, .npz, .h5, a pattern of such, a folder of images',
    ),
    Field('validation_path', '', TEXT, 'the same for the validation split; empty: drawn'),
    Field('test_path', '', TEXT, 'the same for the test split; empty: drawn'),
    Field('split_seed', 0, SEED, 'the draw of 80/10/10 splits, for dataset=file'),
    Field('columns', '', TEXT, 'names with commas: what is modelled of a table; empty: all'),
    Field('categorical', '', TEXT, 'names with commas: columns whose numbers are categories'),
    Field('bounds', '', TEXT, 'a:0..1,b:0..,c:..5, what columns of numbers lie between'),
    Field(
        'context',
        '',
        TEXT,
        'label: p(x | class) in place of p(x), where models and datasets have it; of a table: columns',
    ),
    Field(
        'preprocessing',
        'none',
        _named(PRESETS, OTHERS['preprocessing']),
        'of the data, before the model',
    ),
    Field(
        'logit_lambda',
        1e-6,
        below(0.5),
        'pixels are squeezed to [lambda, 1 - lambda] before the logit',
    ),
    Field(
        'zca_epsilon',
        1e-3,
        AT_LEAST_ZERO,
        'added to the variances that preprocessing=zca divides by',
    ),
    Field(
        'symmetric_range',
        False,
        SWITCH,
        'images in (-1, 1) instead of (0, 1), before the preprocessing',
    ),
    Field('flip', False, SWITCH, 'mirror training images at random (cifar10)'),
    Field(
        'source',
        'map',
        one_of('map', 'memory'),
        'map: memory-mapped files; memory: read whole',
        defines=False,
    ),
    Field(
        'data_dir',
        '',
        TEXT,
        "prepared TFDS directory; empty: TFDS_DATA_DIR, then TFDS's default",
        defines=False,
    ),
    Field('manual_dir', '', TEXT, 'folder with original files downloaded by hand', defines=False),
    Field(
        'cache_dir',
        '',
        TEXT,
        "memory-mapped copies; empty: beside the prepared data, else the user's cache",
        defines=False,
    ),
)
OPTIMISATION = (
    Field('seed', 42, SEED, 'initialisation, order, noise and toy data all follow from it'),
    Field('seed_init', -1, OWN_SEED, 'a seed of its own for the initialisation; -1: config.seed'),
    Field('seed_order', -1, OWN_SEED, 'the same for the order of the batches'),
    Field('seed_noise', -1, OWN_SEED, 'the same for the noise of training'),
    Field('seed_data', -1, OWN_SEED, 'the same for toy data and the noise of evaluation'),
    Field('batch_size', 128, whole(1), 'rows per step over all devices'),
    Field('lr', 1e-3, AT_LEAST_ZERO, 'peak learning rate'),
    Field(
        'optimizer',
        'adam',
        one_of(*OPTIMIZERS),
        'equivariant and scoring go with mlp_flow.gradient=equivariant; scoring: of one layer, a quasi-Newton method',
    ),
    Field(
        'b1',
        0.9,
        below(1),
        'first-moment decay of adam, adamax; momentum of sgd, equivariant, scoring',
    ),
    Field('b2', 0.999, below(1), 'second-moment decay'),
    Field('eps', 1e-8, ABOVE_ZERO, 'added to the root of the second moment'),
    Field('weight_decay', 0.0, AT_LEAST_ZERO, "decoupled, with adamw; the published code's is L2"),
    Field(
        'schedule',
        'constant',
        one_of('constant', 'cosine', 'linear'),
        'of the learning rate; the latter two end at zero at schedule_steps',
    ),
    Field('schedule_steps', 0, whole(0), 'where the schedule ends; 0: with config.epochs'),
    Field('warmup', 0, whole(0), 'steps of linear warm-up'),
    Field('grad_clip', 0.0, AT_LEAST_ZERO, 'largest global norm of the gradient; 0: off'),
    Field(
        'on_nan',
        'raise',
        one_of('raise', 'rollback'),
        'rollback: to the last checkpoint, with half the learning rate',
    ),
    Field('max_rollbacks', 3, whole(0), 'after which on_nan=rollback raises too'),
    Field('ema', 0.0, below(1), 'decay of the parameter average that evaluation uses; 0: off'),
    Field(
        'matmul_precision',
        'highest',
        one_of(*PRECISIONS),
        'of matrix products in training; evaluation is always highest',
    ),
    Field('epochs', 100, whole(1), 'a larger value extends a finished run', defines=False),
    Field('look_ahead', 30, whole(1), 'epochs without improvement on validation before stopping'),
    Field('eval_every', 1, whole(1), 'epochs between validations'),
    Field('init_examples', 10_000, whole(1), 'training rows that layers made from data start from'),
    Field('init_from', '', TEXT, 'workdir of a run whose best parameters to start from'),
)
STUDY = (
    Field(
        'num_seeds',
        1,
        whole(1, MOST_SEEDS),
        'how many seeds `train.study` trains: seed, seed + 1, ...',
    ),
    Field(
        'vary',
        'init,order,noise',
        NAMES_OF_SEEDS,
        'what differs between the seeds; the rest follows config.seed',
    ),
    Field(
        'seed_axis',
        'auto',
        one_of('auto', 'map', 'vmap'),
        'how the seeds of one device run; auto: map on a CPU',
        defines=False,
    ),
)
RUN = (
    Field('num_devices', 0, whole(0), 'local devices to use; 0: all', defines=False),
    Field(
        'parallel',
        'pmap',
        one_of('pmap', 'shard_map'),
        'how a step runs on all devices: jax.pmap, or jax.jit of jax.shard_map; results are equal to the bit',
        defines=False,
    ),
    Field(
        'shard_optimizer',
        False,
        SWITCH,
        "with parallel=shard_map: each device keeps a part of the optimiser's state and of the average (ZeRO, stage 1)",
        defines=False,
    ),
    Field('steps_per_call', 50, whole(1), 'steps in one device program, at most', defines=False),
    Field(
        'eval_batch_size',
        1000,
        whole(1),
        'rows per evaluation call over all devices, rounded up to them',
        defines=False,
    ),
    Field('eval_samples', 1, whole(1, MOST_SAMPLES), "posterior samples of a bound's validation"),
    Field(
        'num_samples',
        5000,
        whole(1, MOST_SAMPLES),
        "importance samples of a bound's test likelihood",
        defines=False,
    ),
    Field(
        'importance',
        'posterior',
        one_of('posterior', 'refined'),
        "drawn from the model's own; refined: from a Gaussian fitted to each example, vaes/refined.py",
        defines=False,
    ),
    Field(
        'final_split',
        'test',
        one_of('test', 'validation'),
        'where the finished run is measured; validation keeps the test split closed while candidates are compared',
        defines=False,
    ),
    Field('published', '', TEXT, 'what a paper reports, shown beside the result', defines=False),
    Field('log_every', 1, whole(1), 'epochs between printed lines', defines=False),
    Field('generation', True, SWITCH, 'pictures of samples', defines=False),
    Field('generation_every', 10, whole(1), 'epochs between them', defines=False),
    Field('tensorboard', True, SWITCH, 'events for TensorBoard', defines=False),
    Field(
        'trackers',
        '',
        NAMES_OF_TRACKERS,
        'where numbers and pictures go as well; each is an extra of the installation',
        defines=False,
    ),
    Field(
        'profile_steps',
        0,
        whole(0),
        'steps of the second call on to profile into the workdir; 0: none',
        defines=False,
    ),
    Field(
        'compilation_cache',
        '',
        TEXT,
        "folder of compiled programs; empty: in the user's cache; off: none",
        defines=False,
    ),
)


def _of(group: str, own: Iterable[Field]) -> tuple[Field, ...]:
    """The own fields of a model or a dataset, by their names behind `config.`."""
    return tuple(dataclasses.replace(field, name=f'{group}.{field.name}') for field in own)


# Title -> fields, in the order in which `--help` has them.
SECTIONS = {
    'model': MODEL,
    **{own_group(name): _of(own_group(name), row.own) for name, row in MODELS.items() if row.own},
    'array': ARRAY,
    'data': DATA,
    'optimisation': OPTIMISATION,
    'studies': STUDY,
    'run': RUN,
}
FIELDS = {field.name: field for section in SECTIONS.values() for field in section}
ADDED: set[str] = set()  # the groups of fields that are plug-ins' own


def add(group: str, own: Iterable[Field]) -> None:
    """The own fields of a plug-in are fields of configs from now on."""
    SECTIONS[group] = _of(group, own)
    FIELDS.update({field.name: field for field in SECTIONS[group]})
    ADDED.add(group)
