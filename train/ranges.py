"""Which values of the shared fields make sense: one rule for each, but for the names of folders."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from flows.affine_layer import GRADIENTS, STARTS
from flows.lagged_affine import INVERSIONS
from train.components import ACTIVATIONS, BASE_DENSITIES, PARTITIONS
from train.data.datasets.toy_densities import TOYS
from train.data.preprocessing import PRESETS
from train.data.registry import DATASETS
from train.errors import UserError
from train.models import MODELS
from train.optim.optimizers import OPTIMIZERS, SCHEDULES
from train.step.parallel import SEED_AXES
from train.step.randomness import Seeds
from vaes.latent_variable_model import KLS, PROPOSALS
from vaes.mlp import WEIGHTS
from vaes.vae import OUTPUT_DISTRIBUTIONS
from vaes.vlae import UPDATE_RULES

VARIED = tuple(field.name for field in dataclasses.fields(Seeds) if field.name != 'data')
PATHS = ('data_dir', 'manual_dir', 'cache_dir', 'init_from')

INT32 = 2**31 - 1  # what counters and indices on the devices hold
MOST_LAYERS = 10_000
MOST_UNITS = 2**20
MOST_SAMPLES = 10**8
MOST_POINTS = 10**8  # of a toy density, which lie in memory
MOST_SEEDS = 10_000
WIDEST_WINDOW = 128  # of attention; more than the sides of any image here


class Rule(NamedTuple):
    """`holds(value)`, and what the value must be, in words."""

    holds: Callable[[Any], bool]
    says: str


def _whole(least: int, most: int = INT32) -> Rule:
    return Rule(
        lambda value: isinstance(value, int) and least <= value <= most,
        f'must be at least {least} and at most {most}',
    )


def _one_of(known: Iterable) -> Rule:
    known = tuple(known)
    return Rule(lambda value: value in known, f'must be one of {", ".join(map(str, known))}')


def _in_float32(value: float) -> float:
    """The value as the devices get it."""
    with np.errstate(over='ignore'):
        return float(np.float32(value))


def _below(bound: float) -> Rule:
    # What rounds to the bound is as good as the bound.
    return Rule(
        lambda value: value >= 0 and _in_float32(value) < bound, f'must lie in [0, {bound:g})'
    )


AT_LEAST_ZERO = Rule(
    lambda value: value >= 0 and _in_float32(value) < math.inf, 'must be a number of at least 0'
)
ABOVE_ZERO = Rule(lambda value: 0 < _in_float32(value) < math.inf, 'must be a number above 0')
SWITCH = Rule(lambda value: isinstance(value, bool), 'must be True or False')
SEED = Rule(lambda value: 0 <= value < 2**32, 'must lie in 0 .. 2**32 - 1')
OWN_SEED = Rule(
    lambda value: -1 <= value < 2**32, 'must lie in 0 .. 2**32 - 1, or be -1 for config.seed'
)
NAMES_OF_SEEDS = Rule(
    lambda value: set(value.split(',')) <= {'', *VARIED},
    f'must name some of {",".join(VARIED)}',
)

MODEL = {
    'model': _one_of(MODELS),
    'prior': _one_of(BASE_DENSITIES),
    'num_layers': _whole(1, MOST_LAYERS),
    'nonlinearity': _one_of(ACTIVATIONS),
    'alpha': AT_LEAST_ZERO,
    'bias': SWITCH,
    'gradient': _one_of(GRADIENTS),
    'refresh_every': _whole(1),
    'inversion': _one_of(INVERSIONS),
    'start': _one_of(STARTS),
    'num_couplings': _whole(0, MOST_LAYERS),
    'log_scale_bound': ABOVE_ZERO,
    'hidden_layers': _whole(0, MOST_LAYERS),
    'hidden_units': _whole(1, MOST_UNITS),
    'partition': _one_of(PARTITIONS),
    'z_dim': _whole(1, MOST_UNITS),
    'hidden_dim': _whole(1, MOST_UNITS),
    'output_dist': _one_of(OUTPUT_DISTRIBUTIONS),
    'initialisation': _one_of(WEIGHTS),
    'n_svi_step': _whole(0, MOST_LAYERS),
    'svi_lr': ABOVE_ZERO,
    'n_flow': _whole(0, MOST_LAYERS),
    'iaf_dim': _whole(1, MOST_UNITS),
    'n_update': _whole(0, MOST_LAYERS),
    'update_lr': ABOVE_ZERO,
    'update_rule': _one_of(UPDATE_RULES),
    'separate_merge': SWITCH,
    'attention': _whole(0, WIDEST_WINDOW),
    'kl': _one_of(KLS),
    'kl_warmup_steps': _whole(0),
}
DATA = {
    'dataset': _one_of(DATASETS),
    'toy_name': _one_of(TOYS),
    'toy_size': _whole(1, MOST_POINTS),
    'max_rows': _whole(0),
    'preprocessing': _one_of(PRESETS),
    'logit_lambda': _below(0.5),
    'zca_epsilon': AT_LEAST_ZERO,
    'symmetric_range': SWITCH,
    'flip': SWITCH,
    'source': _one_of(('map', 'memory')),
}
OPTIMISATION = {
    'seed': SEED,
    'seed_init': OWN_SEED,
    'seed_order': OWN_SEED,
    'seed_noise': OWN_SEED,
    'seed_data': OWN_SEED,
    'batch_size': _whole(1),
    'lr': AT_LEAST_ZERO,
    'optimizer': _one_of(OPTIMIZERS),
    'b1': _below(1),
    'b2': _below(1),
    'eps': ABOVE_ZERO,
    'weight_decay': AT_LEAST_ZERO,
    'schedule': _one_of(SCHEDULES),
    'schedule_steps': _whole(0),
    'warmup': _whole(0),
    'grad_clip': AT_LEAST_ZERO,
    'on_nan': _one_of(('raise', 'rollback')),
    'max_rollbacks': _whole(0),
    'ema': _below(1),
    'matmul_precision': _one_of(
        ('highest', 'high', 'default', 'float32', 'tensorfloat32', 'bfloat16')
    ),
    'epochs': _whole(1),
    'look_ahead': _whole(1),
    'eval_every': _whole(1),
    'init_examples': _whole(1),
}
STUDY = {
    'num_seeds': _whole(1, MOST_SEEDS),
    'vary': NAMES_OF_SEEDS,
    'seed_axis': _one_of(('auto', *SEED_AXES)),
}
RUN = {
    'num_devices': _whole(0),
    'steps_per_call': _whole(1),
    'eval_batch_size': _whole(1),
    'eval_samples': _whole(1, MOST_SAMPLES),
    'num_samples': _whole(1, MOST_SAMPLES),
    'importance': _one_of(PROPOSALS),
    'final_split': _one_of(('test', 'validation')),
    'log_every': _whole(1),
    'generation': SWITCH,
    'generation_every': _whole(1),
    'tensorboard': SWITCH,
    'profile_steps': _whole(0),
}
RULES = MODEL | DATA | OPTIMISATION | STUDY | RUN


def check(config):
    """Raise a UserError for the first field of a config whose value makes no sense."""
    for field, rule in RULES.items():
        if not rule.holds(config[field]):
            raise UserError(f'config.{field} {rule.says}; found {config[field]!r}.')
