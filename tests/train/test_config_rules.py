"""What a config may say: a rule for every field, and fields that its model has."""

import importlib
import math
import pathlib
import re

import jax
import ml_collections
import numpy as np
import pytest

import configs
from tests.helpers import runs
from train import config as defaults
from train import data, models, ranges
from train.errors import UserError
from train.step.evaluation import Evaluator
from train.step.parallel import OneSeed

CONFIGS = sorted(
    path.stem
    for path in pathlib.Path(configs.__file__).parent.glob('*.py')
    if path.stem != '__init__'
)


def test_every_field_but_the_names_of_folders_has_a_rule():
    fields = set(defaults.get_config())
    assert fields == set(ranges.RULES) | set(ranges.PATHS)
    assert not set(ranges.RULES) & set(ranges.PATHS)


def floats():
    return [name for name, value in defaults.get_config().items() if isinstance(value, float)]


def integers():
    return [name for name, value in defaults.get_config().items() if type(value) is int]


NONSENSE = [
    *((field, value) for field in floats() for value in (math.nan, math.inf, -1.0, 1e39)),
    *((field, value) for field in integers() for value in (-2, 2**63)),
    *((field, 0.999999999) for field in ('b1', 'b2', 'ema')),
    *((field, 0.0) for field in ('update_lr', 'svi_lr', 'eps', 'log_scale_bound')),
    ('eps', 1e-60),  # zero in float32
    ('logit_lambda', 0.5),
    ('refresh_every', 0),
    ('toy_size', 10**12),
    ('seed', 2**32),
    ('initialisation', 'banana'),
    ('seed_axis', 'scan'),
    ('vary', 'order,weather'),
]


@pytest.mark.parametrize(('field', 'value'), NONSENSE)
def test_value_without_sense_is_refused_by_its_name(field, value):
    with pytest.raises(UserError, match=rf'config\.{field} must .*; found ') as error:
        ranges.check({**defaults.get_config(), field: value})
    assert '\n' not in str(error.value)


def test_unknown_name_is_refused_whatever_the_field():
    for field, value in defaults.get_config().items():
        if isinstance(value, str) and field not in ranges.PATHS:
            with pytest.raises(UserError, match=f'config.{field} must'):
                ranges.check({**defaults.get_config(), field: 'banana'})


class Reads:
    """A config that notes which of its fields are read."""

    def __init__(self, config):
        self._config, self.names = config, set()

    def __getattr__(self, name):
        self.names.add(name)
        return getattr(self._config, name)


SIGHT = {'gaussian': ('toy', 'none'), 'bernoulli': ('mnist', 'binarise')}


@pytest.mark.parametrize('model', models.MODELS)
def test_fields_of_a_model_are_those_that_build_it(model):
    read = set()
    for output, (dataset, preprocessing) in SIGHT.items():
        if model.startswith('draw') and dataset == 'toy':
            continue
        fields = {'dataset': dataset, 'preprocessing': preprocessing, 'output_dist': output}
        config = Reads(runs.config(model=model, **fields))
        models.create(config, data.describe(config))
        read |= config.names
    shared = {'model', *ranges.DATA, *ranges.OPTIMISATION, *ranges.RUN}
    assert read - shared == set(models.FIELDS[model])


def test_families_are_all_models_once():
    assert sorted(name for family in models.FAMILIES for name in family) == sorted(models.MODELS)


def documented(name):
    """(variant, model) of a config: its own model and those that its docstring offers, in every variant."""
    module = importlib.import_module(f'configs.{name}')
    text = ' '.join(module.__doc__.split())
    listed = re.search(r'`--config\.model=` one of ([\w, ]+)', text)
    offered = listed.group(1).replace(',', ' ').split() if listed else []
    offered += re.findall(r'--config\.model=(\w+)', text)
    with pytest.raises(ValueError, match='one of') as error:
        module.get_config('no such variant')
    variants = ['', *re.findall(r"'(\w+)'", str(error.value))]
    for variant in variants:
        for model in dict.fromkeys([module.get_config(variant).model, *offered]):
            yield module.get_config(variant), model


@pytest.mark.parametrize('name', CONFIGS)
def test_every_variant_of_a_config_works_with_the_models_it_documents(name):
    for config, model in documented(name):
        config.model = model
        ranges.check(config)
        models.check_fields(config, given={'model': model})
        models.create(ml_collections.FrozenConfigDict(config), data.describe(config))


def field_check(name, variant='', **given):
    config = importlib.import_module(f'configs.{name}').get_config(variant)
    config.update(given)
    models.check_fields(config, given)


@pytest.mark.parametrize(
    ('given', 'sentence'),
    [
        ({'model': 'nice', 'num_layers': 8}, 'nice has no field num_layers, which is for mlp_flow'),
        ({'model': 'flow', 'z_dim': 5}, 'no field z_dim, which is for vae, sa_vae, hf, iaf, vlae'),
        ({'n_flow': 8}, 'no field n_flow, which is for hf, iaf; found n_flow=8'),
        ({'model': 'vae', 'prior': 'logistic'}, 'which is for mlp_flow, nice, flow'),
        ({'kl': 'analytic', 'attention': 5}, 'found attention=5, kl=analytic'),
    ],
)
def test_field_of_another_model_is_refused(given, sentence):
    config = defaults.get_config()
    config.update(given)
    with pytest.raises(UserError, match=sentence):
        models.check_fields(config, given)


def test_config_may_set_fields_of_its_family_but_a_run_may_not():
    field_check('vlae_mnist', 'release', model='vae')  # sets fields of vlae
    with pytest.raises(UserError, match=r'config\.model=vae has no field n_update'):
        field_check('vlae_mnist', model='vae', n_update=8)
    field_check('vlae_mnist', model='vae', n_update=4)  # the default
    with pytest.raises(UserError, match=r'found alpha=0\.2, gradient=equivariant, start=whiten'):
        field_check('mnist', model='nice')


def batches_of(batch_size, size, num_devices):
    evaluator = Evaluator(None, 0, batch_size, OneSeed(jax.local_devices()[:num_devices], ()))
    return evaluator._batches(size)


@pytest.mark.parametrize(
    ('batch_size', 'shape'),
    [(10**9, (1, 4, 16)), (62, (1, 4, 16)), (61, (1, 4, 16)), (60, (2, 4, 15)), (8, (8, 4, 2))],
)
def test_evaluation_batch_is_no_larger_than_the_split_needs(batch_size, shape):
    indices, mask = batches_of(batch_size, 62, 4)
    assert indices.shape == mask.shape == shape
    np.testing.assert_array_equal(indices[mask], np.arange(62))
