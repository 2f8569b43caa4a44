"""The optimiser that a config describes: schedule, clipping, update rule, weight decay."""

from collections.abc import Iterable

import jax
import optax
from ml_collections import FrozenConfigDict as Config

from flows.relative.mlp_flow import is_of_activation
from train.errors import UserError
from train.optim.adam import scale_by_adam
from train.optim.clipping import clip_by_global_norm_of_parts
from train.optim.equivariant import equivariant
from train.optim.scoring import scoring


def _adam(rate: optax.Schedule, config: Config) -> optax.GradientTransformation:
    return optax.chain(
        scale_by_adam(config.b1, config.b2, config.eps), optax.scale_by_learning_rate(rate)
    )


def _adamw(rate: optax.Schedule, config: Config) -> optax.GradientTransformation:
    return optax.chain(
        scale_by_adam(config.b1, config.b2, config.eps),
        optax.add_decayed_weights(config.weight_decay),
        optax.scale_by_learning_rate(rate),
    )


def _adamax(rate: optax.Schedule, config: Config) -> optax.GradientTransformation:
    return optax.adamax(rate, config.b1, config.b2, config.eps)


def _sgd(rate: optax.Schedule, config: Config) -> optax.GradientTransformation:
    return optax.sgd(rate, momentum=config.b1 or None)


def _equivariant(rate: optax.Schedule, config: Config) -> optax.GradientTransformation:
    return equivariant(rate, momentum=config.b1, decay=config.b2, eps=config.eps)


def _scoring(rate: optax.Schedule, config: Config) -> optax.GradientTransformation:
    return scoring(rate, momentum=config.b1, decay=config.b2)


OPTIMIZERS = {
    'adam': _adam,
    'adamw': _adamw,
    'adamax': _adamax,
    'sgd': _sgd,
    'equivariant': _equivariant,
    'scoring': _scoring,
}
OF_MOMENTS = ('equivariant', 'scoring')  # which need mlp_flow.gradient=equivariant


def _constant(config: Config, per_epoch: int) -> optax.Schedule:
    del per_epoch
    return optax.constant_schedule(config.lr)


def _cosine(config: Config, per_epoch: int) -> optax.Schedule:
    return optax.cosine_decay_schedule(config.lr, _decay_steps(config, per_epoch))


def _linear(config: Config, per_epoch: int) -> optax.Schedule:
    return optax.linear_schedule(config.lr, 0.0, _decay_steps(config, per_epoch))


SCHEDULES = {'constant': _constant, 'cosine': _cosine, 'linear': _linear}


def _decay_steps(config: Config, per_epoch: int) -> int:
    steps = config.schedule_steps or config.epochs * per_epoch
    if steps <= config.warmup:
        raise UserError(
            f'config.schedule={config.schedule} must decay to zero, at config.schedule_steps or with config.epochs, '
            f'after config.warmup; found {steps} steps, warmup={config.warmup}: set the latter lower.'
        )
    return steps - config.warmup


def schedule(config: Config, per_epoch: int = 0) -> optax.Schedule:
    """The learning rate as a function of the step: a linear warm-up, then the named schedule.

    per_epoch: steps of an epoch, for one that ends with `config.epochs`.
    """
    if config.schedule not in SCHEDULES:
        raise UserError(_unknown('schedule', config.schedule, SCHEDULES))
    rate = SCHEDULES[config.schedule](config, per_epoch)
    if not config.warmup:
        return rate
    ramp = optax.linear_schedule(0.0, config.lr, config.warmup)
    return optax.join_schedules([ramp, rate], [config.warmup])


def create(config: Config, per_epoch: int = 0) -> optax.GradientTransformation:
    """The optax transformation of a config; raises UserError for what is unknown or contradictory.

    per_epoch: as of `schedule`.
    """
    if config.optimizer not in OPTIMIZERS:
        raise UserError(_unknown('optimizer', config.optimizer, OPTIMIZERS))
    _check_equivariant(config)
    if config.weight_decay and config.optimizer != 'adamw':
        raise UserError(
            f'config.weight_decay={config.weight_decay} works with config.optimizer=adamw, '
            f'found {config.optimizer}.'
        )
    rate = schedule(config, per_epoch)
    rule = OPTIMIZERS[config.optimizer](rate, config)
    if config.model == 'mlp_flow' and config.nonlinearity == 'spline':
        rule = _with_activations(rule, rate, config)
    if config.grad_clip:
        sharded = config.shard_optimizer
        clip = clip_by_global_norm_of_parts if sharded else optax.clip_by_global_norm
        return optax.chain(clip(config.grad_clip), rule)
    return rule


def _with_activations(
    rule: optax.GradientTransformation, rate: optax.Schedule, config: Config
) -> optax.GradientTransformation:
    """The rule for affine layers, and Adam at a rate of its own for learnt activations."""
    factor = config.mlp_flow.activation_rate

    return optax.partition(
        {True: _adam(lambda step: factor * rate(step), config), False: rule},
        lambda params: jax.tree.map_with_path(lambda path, _: is_of_activation(path), params),
    )


def _check_equivariant(config: Config) -> None:
    """The optimisers that use second moments and the gradient that comes with them need each other."""
    has_moments = config.model == 'mlp_flow' and config.mlp_flow.gradient == 'equivariant'
    if has_moments != (config.optimizer in OF_MOMENTS):
        raise UserError(
            f'config.optimizer={" or ".join(OF_MOMENTS)} and config.mlp_flow.gradient=equivariant go together, '
            f'with config.model=mlp_flow; found optimizer={config.optimizer}, '
            f'mlp_flow.gradient={config.mlp_flow.gradient}, model={config.model}.'
        )
    if config.optimizer == 'scoring' and (config.num_layers > 1 or config.mlp_flow.ends):
        raise UserError(
            'config.optimizer=scoring is for independent components, config.num_layers=1 and mlp_flow.ends=False; '
            f'found num_layers={config.num_layers}, mlp_flow.ends={config.mlp_flow.ends}: use equivariant.'
        )
    if has_moments and config.shard_optimizer:
        raise UserError(
            f'config.shard_optimizer=True divides every array among devices, but config.optimizer={config.optimizer} '
            'needs whole matrices: use adam, adamw, adamax or sgd with mlp_flow.gradient=relative, or leave it out.'
        )
    if has_moments and config.grad_clip:
        raise UserError(
            f'config.grad_clip must be 0 with config.optimizer={config.optimizer}, whose steps it would make depend on '
            f'the coordinates of the data; found {config.grad_clip}.'
        )


def _unknown(field: str, value: str, known: Iterable[str]) -> str:
    return f'config.{field} must be one of {", ".join(sorted(known))}; found {value}.'
