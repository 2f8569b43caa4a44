"""The models that `config.model` names: what each is, the fields it has, and how it is built from them.

A row of `MODELS` is all that the trainer has to know of a new model. Its libraries are imported where it is built, so
that `--help` and `--list` start at once. `train.plugins` adds rows of other packages.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from train.errors import UserError
from train.models.field_flows import FIELD_FLOWS
from train.models.flows import FLOWS
from train.models.row import Model
from train.models.vaes import VAES

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from train import contract
    from train.data.base import Description

MODELS: dict[str, Model] = {**FLOWS, **FIELD_FLOWS, **VAES}


def own_group(name: str) -> str:
    """What a model's own fields stand under: its name, of a `module:attribute` the attribute."""
    return name.rpartition(':')[2]


def having(field: str) -> tuple[str, ...]:
    """The models that have a field, by its name behind `config.`; () for a field that every config has."""
    group = field.partition('.')[0]
    return tuple(
        name
        for name, row in MODELS.items()
        if group in row.has
        or (group == name if ':' not in name else row.own and group == own_group(name))
    )


def has(model: str, field: str) -> bool:
    """Whether a field is one of a model's, or of every config's."""
    names = having(field)
    return not names or model in names


def create(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    """The Linen module of a config; raises UserError for an unknown name or a field the model refuses."""
    if config.model not in MODELS:
        raise UserError(
            f'config.model must be one of {", ".join(MODELS)}, or a module:attribute; found {config.model}.'
        )
    _check_levels(config)
    try:
        model = MODELS[config.model].build(config, description)
    except ValueError as error:
        raise UserError(str(error)) from error
    _check_contract(config.model, model)
    if description.context and not model.conditional:
        raise UserError(
            'a context needs a model of p(x | c), such as gaussian; found '
            f'config.model={config.model} and a context of {description.context} numbers with each example of '
            f'{description.name}: choose such a model, or leave config.context empty.'
        )
    if config.importance == 'refined' and not model.refinable:
        raise UserError(
            'config.importance=refined needs a model with a posterior over one vector z (vae, sa_vae, hf, iaf, vlae, '
            f'study_vae); found config.model={config.model}: use config.importance=posterior.'
        )
    return model


def _check_contract(name: str, model: Any) -> None:
    """Raise UserError unless what was built is a model to the trainer."""
    from train import contract

    asked = [method for method in vars(contract.Model) if not method.startswith('_')]
    missing = [method for method in asked if not hasattr(model, method)]
    if missing:
        raise UserError(
            f'config.model={name} must build a Linen module with the methods of flows.LikelihoodModel; found a '
            f'{type(model).__name__} without {", ".join(missing)}.'
        )


def _check_levels(config: 'ConfigDict') -> None:
    """Raise UserError where a model gets whole grey levels that takes real numbers alone."""
    model = config.model
    if config.preprocessing == 'levels' and not MODELS[model].of_levels:
        known = ', '.join(name for name, row in MODELS.items() if row.of_levels)
        raise UserError(
            f'config.preprocessing=levels keeps whole grey levels, which only {known} models; '
            f'found config.model={model}: use config.preprocessing=none.'
        )


def family(model: str) -> set[str]:
    """The models that a model is compared with, itself among them."""
    name = MODELS[model].family
    return {model, *(other for other, row in MODELS.items() if name and row.family == name)}


def check_fields(
    values: dict[str, Any], defaults: dict[str, Any], given: Collection[str] = ()
) -> None:
    """Raise a UserError for fields that the model of a config does not have and that are not at their defaults.

    They would be ignored. values, defaults: name behind `config.` -> value, see `train.config.flat`. A config may set
    fields for other models of the same family; none of those may be in `given`, the names of the fields that were set
    for this one run.
    """
    model = values['model']
    if model not in MODELS:
        return  # `create` says which models there are
    compared = family(model)
    ignored = [
        field
        for field, value in sorted(values.items())
        if value != defaults[field]
        and not has(model, field)
        and (field in given or not compared.intersection(having(field)))
    ]
    if ignored:
        found = ', '.join(f'{field}={values[field]}' for field in ignored)
        left = ', '.join(f'{field}={defaults[field]}' for field in ignored)
        raise UserError(
            f'config.model={model} has no field {ignored[0]}, which is for {", ".join(having(ignored[0]))}; found '
            f'{found}: leave it at the default, {left}, or choose another config or model.'
        )
