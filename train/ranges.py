"""Which values of the shared fields make sense."""

import math

from train.errors import UserError

AT_LEAST_ONE = (
    'epochs',
    'look_ahead',
    'eval_every',
    'log_every',
    'generation_every',
    'steps_per_call',
    'eval_batch_size',
    'eval_samples',
    'num_samples',
    'init_examples',
)
CHOICES = {'on_nan': ('raise', 'rollback'), 'final_split': ('test', 'validation')}


def check(config):
    """Raise a UserError for the first field of a config whose value makes no sense."""
    for field in AT_LEAST_ONE:
        if config[field] < 1:
            raise UserError(f'config.{field} must be at least 1; found {config[field]}.')
    if not 0 <= config.seed < 2**32:
        raise UserError(f'config.seed must lie in 0 .. 2**32 - 1; found {config.seed}.')
    if not (math.isfinite(config.lr) and config.lr >= 0):
        raise UserError(f'config.lr must be a number of at least 0; found {config.lr}.')
    for field, known in CHOICES.items():
        if config[field] not in known:
            raise UserError(f'config.{field} must be {" or ".join(known)}; found {config[field]}.')
