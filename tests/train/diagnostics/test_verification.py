"""The checks of a trained flow pass for a right model and name what is wrong with a wrong one."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flows import (
    ELU,
    MLP,
    NICE,
    Coupling,
    GlowFlow,
    ImageFlow,
    MLPConditioner,
    MLPFlow,
    SmoothLeakyReLU,
    UniformAugmentation,
    UniformDequantisation,
)
from tests.helpers.convergence_models import example_keys, moved
from train.diagnostics import verification


def initialised(model, D):
    x = jax.random.normal(jax.random.key(0), (64, D))
    variables = model.init(jax.random.key(1), x, None, 0, method='objective')
    return variables, x


def failed(model, variables, x):
    checks = verification.check_flow(model, variables, x, jax.random.key(2))
    return [check.name for check in checks if not check.passed], checks


@pytest.mark.parametrize('D', [1, 2, 5])
@pytest.mark.parametrize(
    'model',
    [MLPFlow(activation=SmoothLeakyReLU(0.3)), NICE(conditioner=MLP(1, 8))],
    ids=['mlp', 'nice'],
)
def test_right_models_pass(model, D):
    names, checks = failed(model, *initialised(model, D))
    assert names == []
    text = verification.table(checks)
    assert ('integral' in text) == (D <= 2)
    assert len(text.splitlines()) == len(checks)


class WrongLogDet(MLPFlow):
    """A flow whose log-determinant is off by a hundredth of a nat."""

    def forward_and_log_det(self, x):
        z, log_det = super().forward_and_log_det(x)
        return z, log_det + 0.02


class WrongInverse(MLPFlow):
    """A flow whose inverse is a little off."""

    def inverse_and_log_det(self, z):
        x, log_det = super().inverse_and_log_det(z)
        return x * 1.001, log_det


def test_wrong_log_determinant_is_found():
    model = WrongLogDet(activation=SmoothLeakyReLU(0.3))
    names, _ = failed(model, *initialised(model, 2))
    assert 'log-determinant against slogdet, nats, float64' in names
    assert 'distance of the integral of the density from 1' in names


def test_wrong_inverse_is_found():
    model = WrongInverse(activation=SmoothLeakyReLU(0.3))
    names, _ = failed(model, *initialised(model, 3))
    assert 'inverse error whole model, float64' in names
    assert 'inverse error affine_0, float64' not in names


def test_mass_that_a_flow_misses_is_found():
    model = MLPFlow(activation=ELU(0.5))
    names, _ = failed(model, *initialised(model, 2))
    assert names == ['distance of the integral of the density from 1']


def test_singular_layer_is_found():
    model = MLPFlow(activation=SmoothLeakyReLU(0.3))
    variables, x = initialised(model, 4)
    W = np.array(variables['params']['affine_0']['W'])
    W[:, 0] = W[:, 1] * (1 + 1e-7)
    variables['params']['affine_0']['W'] = jnp.asarray(W)
    names, checks = failed(model, variables, x)
    assert any(name.startswith('inverse error affine_0, float32') for name in names)
    assert max(check.value for check in checks if check.limit is None) > 1e6


def test_diagnostics_are_condition_numbers_and_smallest_slopes():
    model = MLPFlow(num_layers=3, activation=SmoothLeakyReLU(0.3))
    variables, x = initialised(model, 4)
    W = jnp.diag(jnp.array([1.0, 2.0, 4.0, 8.0]))
    variables['params']['affine_1']['W'] = W
    found = model.apply(variables, x, method='diagnostics')
    assert set(found) == {f'condition_number_{i}' for i in range(3)} | {
        f'smallest_slope_{i}' for i in range(2)
    }
    assert float(found['condition_number_1']) == pytest.approx(8.0)
    y, _ = nn.apply(lambda flow, x: flow.affine[0].forward_and_log_det(x), model)(variables, x)
    expected = (0.3 + 0.7 * jax.nn.sigmoid(y)).min()
    assert float(found['smallest_slope_0']) == pytest.approx(float(expected), rel=1e-5)


class WrongCoupling(Coupling):
    """A coupling whose inverse is a little off."""

    def inverse_and_log_det(self, z, context=None):
        x, log_det = super().inverse_and_log_det(z, context)
        return x + 0.01, log_det


class WrongGlow(GlowFlow):
    """A Glow with such a coupling on every scale."""

    def _layers(self, scale):
        return [*super()._layers(scale), WrongCoupling(self.conditioner.copy())]


class WrongLevels(UniformDequantisation):
    """A dequantisation that leaves the cell of its level."""

    def forward_and_bound(self, x, keys):
        z, bound = super().forward_and_bound(x, keys)
        return z + 0.5 / self.levels, bound


def image_checks(flow, dequantisation, channels):
    model = ImageFlow(
        shape=(4, 4, 1),
        flow=flow,
        dequantisation=dequantisation,
        augmentation=UniformAugmentation(channels),
    )
    x = jnp.asarray(np.random.default_rng(0).integers(0, dequantisation.levels, (6, 16)), 'float32')
    keys = example_keys(6)
    variables = moved(model.init(jax.random.key(0), x, keys, 0, method='objective'))
    return verification.check_image_flow(model, variables, x, keys, jax.random.key(2))


@pytest.mark.parametrize(
    ('flow', 'dequantisation', 'channels', 'failed'),
    [
        (GlowFlow(2, 1, MLPConditioner((8,))), UniformDequantisation(2), 1, []),
        (
            GlowFlow(1, 1, MLPConditioner((8,))),
            WrongLevels(256),
            0,
            ['levels that dequantisation moves'],
        ),
        (
            WrongGlow(1, 1, MLPConditioner((8,))),
            UniformDequantisation(256),
            0,
            [
                'inverse error flow/steps_0/layers_3, float64',
                'inverse error flow/steps_0, float64',
                'inverse error whole model, float64',
            ],
        ),
    ],
    ids=['right', 'wrong levels', 'wrong coupling'],
)
def test_flow_of_images_is_checked_between_its_levels_and_its_latents(
    flow, dequantisation, channels, failed
):
    checks = image_checks(flow, dequantisation, channels)
    assert [check.name for check in checks if not check.passed] == failed
    assert any('slogdet' in check.name for check in checks)
