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
    'hidden_units',
    'hidden_dim',
    'z_dim',
    'iaf_dim',
)
AT_LEAST_ZERO = (
    'lr',
    'weight_decay',
    'schedule_steps',
    'warmup',
    'grad_clip',
    'kl_warmup_steps',
    'max_rows',
    'num_couplings',
    'hidden_layers',
    'n_svi_step',
    'n_flow',
    'n_update',
    'attention',
)
BELOW_ONE = ('b1', 'b2', 'ema')
POSITIVE = ('eps', 'log_scale_bound')
SEEDS = ('seed_init', 'seed_order', 'seed_noise', 'seed_data')
CHOICES = {
    'on_nan': ('raise', 'rollback'),
    'final_split': ('test', 'validation'),
    'importance': ('posterior', 'refined'),
    'matmul_precision': ('highest', 'high', 'default', 'float32', 'tensorfloat32', 'bfloat16'),
}


def check(config):
    """Raise a UserError for the first field of a config whose value makes no sense."""
    for field in AT_LEAST_ONE:
        _require(config[field] >= 1, 'must be at least 1', field, config)
    for field in AT_LEAST_ZERO:
        rule = 'must be a number of at least 0'
        _require(0 <= config[field] < math.inf, rule, field, config)
    for field in BELOW_ONE:
        _require(0 <= config[field] < 1, 'must lie in [0, 1)', field, config)
    for field in POSITIVE:
        _require(0 < config[field] < math.inf, 'must be a number above 0', field, config)
    _require(0 <= config.seed < 2**32, 'must lie in 0 .. 2**32 - 1', 'seed', config)
    for field in SEEDS:
        rule = 'must lie in 0 .. 2**32 - 1, or be -1 for config.seed'
        _require(-1 <= config[field] < 2**32, rule, field, config)
    for field, known in CHOICES.items():
        _require(config[field] in known, f'must be one of {", ".join(known)}', field, config)


def _require(holds, rule, field, config):
    if not holds:
        raise UserError(f'config.{field} {rule}; found {config[field]}.')
