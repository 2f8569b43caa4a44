"""Models from config fields: the fields reach the model, and those that mean nothing to it are refused."""

import math

import jax
import pytest

from flows import (
    ELU,
    Gaussian,
    HalfMask,
    LeakyTanh,
    Logistic,
    Reverse,
    SmoothLeakyReLU,
    Softplus,
    alternating,
)
from tests.helpers import runs
from train import contract
from train import experiment as experiments
from train.errors import UserError
from train.models import MODELS

POINTS = {'dataset': 'toy', 'toy_name': '8gaussians'}
BINARY = {'dataset': 'mnist', 'preprocessing': 'binarise'}


def model_of(**fields):
    return experiments.create(runs.config(**fields)).model


def count(**fields):
    params = experiments.create(runs.config(**fields)).template().params
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize('name', ['study_vae', 'lvae', 'draw', 'vae', 'hf', 'iaf'])
def test_kl_is_estimated_as_the_config_says(name):
    images = {**BINARY, 'output_dist': 'bernoulli'}
    for kl in ('sample', 'analytic'):
        assert model_of(model=name, kl=kl, **images).kl == kl


def test_ladder_of_the_published_study_has_its_parameters():
    published = {'model': 'lvae', 'separate_merge': True}
    assert count(**published, **POINTS) == 79_164
    assert count(**published, **BINARY) == 1_464_464


def test_attention_of_draw_makes_its_glimpses_smaller():
    whole, windows = (count(model='draw', attention=size, **BINARY) for size in (0, 5))
    # Read and write 2 x 784 and 784 values less 2 x 25 and 25, two windows of five parameters more.
    hidden = 256
    assert whole - windows == 2 * 759 * 4 * hidden + (hidden + 1) * (759 - 2 * 5)


def test_whitening_start_needs_rows():
    with pytest.raises(UserError, match='init_examples of at least 2; found 1'):
        model_of(model='mlp_flow', start='whiten', init_examples=1)


def test_image_flow_refuses_a_prior_that_it_does_not_have():
    with pytest.raises(UserError, match='gaussian on images; found logistic'):
        model_of(model='flow', prior='logistic', **BINARY)


@pytest.mark.parametrize(
    ('fields', 'part', 'expected'),
    [
        ({'nonlinearity': 'smooth_leaky_relu', 'alpha': 0.2}, 'activation', SmoothLeakyReLU(0.2)),
        ({'nonlinearity': 'elu', 'alpha': 0.2}, 'activation', ELU(0.2)),
        ({'nonlinearity': 'leaky_tanh', 'alpha': 0.2}, 'activation', LeakyTanh()),
        ({'nonlinearity': 'softplus', 'alpha': 0.2}, 'activation', Softplus()),
        ({'prior': 'gaussian'}, 'base', Gaussian()),
        ({'prior': 'logistic'}, 'base', Logistic()),
        ({'partition': 'odd_first', 'num_couplings': 3}, 'masks', alternating(3, first=0)),
        ({'partition': 'even_first', 'num_couplings': 3}, 'masks', alternating(3, first=1)),
        ({'partition': 'halves', 'num_couplings': 3}, 'masks', (HalfMask(),) * 3),
        ({'partition': 'halves'}, 'mixing', Reverse()),
        ({'partition': 'odd_first'}, 'mixing', None),
    ],
    ids=str,
)
def test_names_become_the_parts_that_they_stand_for(fields, part, expected):
    model = 'nice' if 'partition' in fields else 'mlp_flow'
    assert getattr(model_of(model=model, **fields), part) == expected


def test_a_slope_that_an_activation_does_not_have_is_refused():
    with pytest.raises(UserError, match=r'0 < alpha <= 1, got 1\.5'):
        model_of(alpha=1.5)


@pytest.mark.parametrize('name', MODELS)
def test_every_model_keeps_the_contract(name):
    binary = {} if name in ('mlp_flow', 'nice') else {**BINARY, 'output_dist': 'bernoulli'}
    model = model_of(model=name, **binary)
    kept = [contract.Model]
    kept += [] if model.exact else [contract.BoundedModel]
    kept += [contract.LatentVariableModel] if model.has_posterior else []
    asked = {member for protocol in kept for member in vars(protocol) if member[0] != '_'}
    assert {'objective', 'log_likelihood', 'sample', 'is_onto', 'diagnostics'} < asked
    assert [member for member in asked if not hasattr(model, member)] == []
