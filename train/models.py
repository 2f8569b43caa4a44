"""The models that `config.model` names, built from plain fields."""

from flows import NICE, MLPFlow
from train.errors import UserError


def _mlp_flow(config, description):
    return MLPFlow(
        num_layers=config.num_layers,
        nonlinearity=config.nonlinearity,
        # As in the published flags, alpha is a parameter of these two alone.
        alpha=config.alpha if config.nonlinearity in ('smooth_leaky_relu', 'elu') else None,
        bias=config.bias,
        prior=config.prior,
        gradient=config.gradient,
    )


def _nice(config, description):
    return NICE(
        num_couplings=config.num_couplings,
        hidden_layers=config.hidden_layers,
        hidden_units=config.hidden_units,
        partition=config.partition,
        prior=config.prior,
    )


MODELS = {'mlp_flow': _mlp_flow, 'nice': _nice}


def create(config, description):
    """The Linen module of a config; raises UserError for an unknown name or a field the model refuses."""
    if config.model not in MODELS:
        raise UserError(f'config.model must be one of {", ".join(MODELS)}; found {config.model}.')
    try:
        return MODELS[config.model](config, description)
    except ValueError as error:
        raise UserError(str(error)) from error
