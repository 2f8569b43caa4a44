"""Coupling flows: inverses, log-determinants by autodiff, normalisation, starts from data."""

from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flows import MLP, NICE, Affine, Chain, ChainFlow, RelativeAffine, Softplus
from flows.actnorm import ActNorm
from flows.base_densities import StandardUniform
from flows.coupling.coupling import Coupling
from flows.coupling.coupling_flow import CouplingFlow
from flows.coupling.masks import AlternatingMask
from flows.coupling.mlp import MLPConditioner, ResidualMLP
from flows.coupling.real_nvp import real_nvp
from flows.elementwise.transformers import BoundedAffine, RationalQuadraticSpline
from flows.image import surjections
from flows.image.convolution import Conv
from flows.image.glow import ConvNet, GlowFlow
from flows.image.image_flow import DenseNet, ImageFlow, MultiScaleFlow, RealImageFlow
from flows.image.invertible_conv import InvertibleConv
from flows.image.squeeze import Slice, Squeeze
from flows.image.surjections import UniformAugmentation, UniformDequantisation
from flows.mixing import none, relative
from flows.neural_spline_flow import coupling_spline_flow
from flows.permutation import Permutation
from tests.helpers.convergence_models import example_keys, init, moved, prepared

VECTORS, IMAGES = (3, 5), (3, 4, 2, 3)
BIJECTORS = {
    'coupling of vectors': (Coupling(MLPConditioner((6, 6))), VECTORS),
    'coupling of images': (Coupling(DenseNet(4, 1, 2)), IMAGES),
    'coupling of images, alternating': (
        Coupling(DenseNet(4, 1, 2), mask=AlternatingMask(1)),
        IMAGES,
    ),
    'coupling of splines, with splines of the rest': (
        Coupling(
            ResidualMLP(6, 1),
            RationalQuadraticSpline(3),
            AlternatingMask(0),
            RationalQuadraticSpline(2),
        ),
        VECTORS,
    ),
    'permutation': (Permutation((3, 0, 4, 2, 1)), VECTORS),
    'real nvp': (real_nvp(5, 3, ResidualMLP(6, 1), mixing=relative), VECTORS),
    'neural spline flow': (
        coupling_spline_flow(5, 2, ResidualMLP(6, 1), RationalQuadraticSpline(3)),
        VECTORS,
    ),
    'actnorm of vectors': (ActNorm(), VECTORS),
    'actnorm of images': (ActNorm(), IMAGES),
    '1x1 convolution': (InvertibleConv(), IMAGES),
    'squeeze': (Squeeze(), IMAGES),
    'coupling flow': (CouplingFlow(5, 3, MLPConditioner((6,))), VECTORS),
}


def forward_init(bijector, x):
    """Parameters started by one pass from x to z."""
    return jax.jit(lambda x: bijector.init(jax.random.key(0), x, method='forward_and_log_det'))(x)


def methods(bijector, x):
    """Forward and inverse as functions of one array, parameters off their start."""
    if not hasattr(bijector, 'init'):
        return bijector.forward_and_log_det, bijector.inverse_and_log_det
    variables = moved(forward_init(bijector, x))

    def forward(x):
        return bijector.apply(variables, x, method='forward_and_log_det')

    def inverse(z):
        return bijector.apply(variables, z, method='inverse_and_log_det')

    return forward, inverse


@pytest.mark.parametrize('name', BIJECTORS)
def test_inverse_and_log_det_against_autodiff(name, x64):
    bijector, shape = BIJECTORS[name]
    x = jax.random.normal(jax.random.key(1), shape, jnp.float64)
    forward, inverse = methods(bijector, x)

    @jax.jit
    def both_ways(x):
        z, log_det = forward(x)

        def flat(row):
            return forward(row.reshape(1, *shape[1:]))[0].reshape(-1)

        jacobian = jax.vmap(jax.jacrev(flat))(x.reshape(len(x), -1))
        return log_det, jnp.linalg.slogdet(jacobian)[1], *inverse(z)

    log_det, expected, back, inverse_log_det = both_ways(x)
    np.testing.assert_allclose(log_det, expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(back, x, rtol=0, atol=1e-7)
    np.testing.assert_allclose(inverse_log_det, -log_det, rtol=0, atol=1e-7)


@pytest.mark.parametrize('name', BIJECTORS)
def test_rows_of_half_precision_keep_their_type_and_log_determinants_are_single(name):
    bijector, shape = BIJECTORS[name]
    forward, inverse = methods(bijector, jax.random.normal(jax.random.key(1), shape))

    @jax.jit
    def both_ways(x):
        z, log_det = forward(x)
        return z, log_det, *inverse(z)

    z, log_det, back, inverse_log_det = both_ways(jnp.ones(shape, jnp.bfloat16))
    assert z.dtype == back.dtype == jnp.bfloat16
    assert log_det.dtype == inverse_log_det.dtype == jnp.float32
    assert jnp.isfinite(back).all()


@pytest.mark.parametrize(
    ('flow', 'shape'),
    [(MultiScaleFlow(2, 1, DenseNet(4, 1, 2)), (4, 4, 2)), (GlowFlow(2, 1, ConvNet(3)), (4, 4, 1))],
    ids=['image flow', 'glow'],
)
def test_multi_scale_flow_is_a_bijector(flow, shape, x64):
    x = jax.random.normal(jax.random.key(1), (2, *shape), jnp.float64)
    variables = moved(forward_init(flow, x))

    @jax.jit
    def both_ways(x):
        z, log_det = flow.apply(variables, x, method='forward_and_log_det')

        def flat(row):
            row = row.reshape(1, *shape)
            return flow.apply(variables, row, method='forward_and_log_det')[0][0]

        jacobian = jax.vmap(jax.jacrev(flat))(x.reshape(2, -1))
        back = flow.apply(variables, z, shape, method='inverse_and_log_det')
        return log_det, jnp.linalg.slogdet(jacobian)[1], *back

    log_det, expected, back, inverse_log_det = both_ways(x)
    np.testing.assert_allclose(log_det, expected, atol=1e-9)
    np.testing.assert_allclose(back, x, atol=1e-9)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-9)


def test_coupling_starts_as_the_identity_and_its_scale_is_bounded():
    coupling = Coupling(MLPConditioner((6,)), BoundedAffine(1.5))
    x = jax.random.normal(jax.random.key(0), (4, 4))
    variables = forward_init(coupling, x)
    z, log_det = coupling.apply(variables, x, method='forward_and_log_det')
    np.testing.assert_array_equal(z, x)
    np.testing.assert_array_equal(log_det, 0)
    wild = moved(variables, scale=1e4)
    z, log_det = coupling.apply(wild, x, method='forward_and_log_det')
    assert bool(jnp.isfinite(z).all())
    assert float(jnp.abs(log_det).max()) <= 2 * 1.5
    np.testing.assert_array_equal(z[:, :2], x[:, :2])


def test_weights_start_within_the_gain_over_the_root_of_the_fan_in():
    x = jnp.zeros((1, 16))
    plain, wide = (
        MLPConditioner((64, 32), gain=gain).init(jax.random.key(0), x)['params']
        for gain in (1.0, 6**0.5)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(6**0.5 * a, b, atol=1e-6), plain, wide)
    for name, fan_in in {'Dense_0': 16, 'Dense_1': 64}.items():
        largest = float(jnp.abs(plain[name]['kernel']).max())
        assert 0.99 * fan_in**-0.5 < largest <= fan_in**-0.5


def test_flow_without_couplings_is_the_identity():
    flow = CouplingFlow(num_couplings=0, num_features=3)
    x = jax.random.normal(jax.random.key(0), (4, 3))
    z, log_det = flow.apply({}, x, method='forward_and_log_det')
    np.testing.assert_array_equal(z, x)
    np.testing.assert_array_equal(log_det, 0)
    log_p = flow.apply({}, x, method='log_likelihood')
    expected = -0.5 * (x**2 + np.log(2 * np.pi)).sum(axis=1)
    np.testing.assert_allclose(log_p, expected, rtol=1e-6)
    assert flow.apply({}, jax.random.key(1), 6, method='sample').shape == (6, 3)


def test_density_of_a_two_dimensional_flow_integrates_to_one():
    flow = CouplingFlow(conditioner=MLPConditioner((8, 8)))
    examples = 2 + 3 * jax.random.normal(jax.random.key(0), (500, 2))
    variables = moved(init(flow, examples))
    sample = jax.jit(lambda: flow.apply(variables, jax.random.key(1), 4000, method='sample'))()
    low, high = sample.min(axis=0), sample.max(axis=0)
    margin = high - low
    axes = [jnp.linspace(a - m, b + m, 601) for a, b, m in zip(low, high, margin, strict=True)]
    grid = jnp.stack(jnp.meshgrid(*axes), axis=-1).reshape(-1, 2)
    log_p = jax.jit(lambda x: flow.apply(variables, x, method='log_likelihood'))(grid)
    cell = (axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0])
    assert float(jnp.exp(log_p).sum() * cell) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize('shape', [(50, 4), (20, 3, 5, 4)])
def test_actnorm_starts_from_the_data_once(shape):
    layer, scale = ActNorm(), jnp.array([0.1, 1.0, 5.0, 0.0]).reshape(*[1] * (len(shape) - 1), 4)
    x = scale * jax.random.normal(jax.random.key(0), shape) + 3
    variables = forward_init(layer, x)
    z, _ = layer.apply(variables, x, method='forward_and_log_det')
    axes = tuple(range(z.ndim - 1))
    np.testing.assert_allclose(z.mean(axes), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(axes), [1, 1, 1, 0], atol=1e-4)
    np.testing.assert_allclose(variables['params']['log_scale'][3], 0, err_msg='constant channel')
    other = 10 * x + 7
    z, unchanged = layer.apply(variables, other, method='forward_and_log_det', mutable=True)
    assert float(jnp.abs(z[0].mean())) > 1
    jax.tree.map(np.testing.assert_array_equal, unchanged['params'], variables['params'])


@pytest.mark.parametrize('constant', [0.0, 12.3456, 100.7, 12345.678])
def test_actnorm_keeps_the_scale_of_a_constant_channel_whatever_its_mean_is_rounded_to(constant):
    x = jnp.full((10_000, 1), constant)
    assert forward_init(ActNorm(), x)['params']['log_scale'] == 0


def test_every_actnorm_of_a_flow_is_normalised_at_the_start():
    flow = CouplingFlow(conditioner=MLPConditioner((8,)))
    x = 5 + 3 * jax.random.normal(jax.random.key(0), (400, 2))
    variables = init(flow, x)
    z, _ = flow.apply(variables, x, method='forward_and_log_det')
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-4)


def test_squeeze_keeps_each_block_of_pixels_together():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    z, _ = Squeeze().forward_and_log_det(x)
    assert sorted(z[0, 0, 1].tolist()) == [2, 3, 6, 7]
    with pytest.raises(ValueError, match='even height and width, found 3 x 4'):
        Squeeze().forward_and_log_det(jnp.zeros((1, 3, 4, 1)))


def test_slice_is_joined_again():
    x = jax.random.normal(jax.random.key(0), IMAGES)
    kept, finished = Slice(1).split(x)
    assert kept.shape == (3, 4, 2, 1)
    np.testing.assert_array_equal(Slice(1).join(kept, finished), x)


def test_standard_uniform_has_no_density_outside_the_cube():
    u = jnp.array([[0.2, 0.9], [0.2, 1.1], [-0.1, 0.5], [1.5, -3.0]])
    np.testing.assert_array_equal(StandardUniform().log_prob(u), [0, -jnp.inf, -jnp.inf, -jnp.inf])


def test_dequantisation_is_undone_and_its_bound_is_the_log_volume():
    layer, keys = UniformDequantisation(levels=4), example_keys(200)
    x = jax.random.randint(jax.random.key(0), (200, 3), 0, 4).astype(jnp.float32)
    z, bound = layer.forward_and_bound(x, keys)
    np.testing.assert_array_equal(layer.inverse(z), x)
    np.testing.assert_allclose(bound, -3 * np.log(4), rtol=1e-6)
    assert float((z * 4 - x).min()) < 0.05
    assert float((z * 4 - x).max()) > 0.95
    np.testing.assert_array_equal(layer.inverse(jnp.array([-0.3, 1.7])), [0, 3])


def test_dequantisation_stays_in_its_cell_at_the_largest_noise(monkeypatch):
    monkeypatch.setattr(
        surjections, 'uniform', lambda keys, shape, dtype: jnp.full((len(keys), *shape), 1 - 2**-24)
    )
    for levels in (2, 12, 17, 19, 22, 255, 256):
        layer, x = UniformDequantisation(levels=levels), jnp.arange(float(levels))[:, None]
        z, _ = layer.forward_and_bound(x, example_keys(levels))
        np.testing.assert_array_equal(layer.inverse(z), x)
        np.testing.assert_array_equal(layer.inverse(x / levels), x)
        assert (x / levels <= z).all()
        assert (z < (x + 1) / levels).all()


def test_augmentation_adds_channels_that_cost_nothing():
    x = jax.random.normal(jax.random.key(0), IMAGES)
    z, bound = UniformAugmentation(2).forward_and_bound(x, example_keys(3))
    assert z.shape == (3, 4, 2, 5)
    np.testing.assert_array_equal(UniformAugmentation(2).inverse(z), x)
    np.testing.assert_array_equal(bound, 0)
    z, bound = UniformAugmentation(0).forward_and_bound(x, example_keys(3))
    np.testing.assert_array_equal(z, x)
    np.testing.assert_array_equal(UniformAugmentation(0).inverse(z), x)
    np.testing.assert_array_equal(bound, 0)


def test_image_flow_without_couplings_has_a_known_likelihood():
    # It only moves pixels, so P(x) is a product of normal integrals over the cells; the auxiliary
    # channel adds its own, over [0, 1), once per pixel.
    flow = ImageFlow(shape=(2, 2, 1), flow=MultiScaleFlow(scales=2, couplings=0))
    x = jnp.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    log_p = flow.apply({}, x, example_keys(2), 20_000, method='log_likelihood')
    dark, light = (NormalDist().cdf(b) - NormalDist().cdf(b - 0.5) for b in (0.5, 1.0))
    expected = np.log([[dark, light, light, dark], [light] * 4]).sum(axis=1)
    np.testing.assert_allclose(log_p, expected + 4 * np.log(dark + light), atol=0.01)


def test_samples_of_the_image_flow_are_whole_values():
    model, variables, _ = prepared('image_flow')
    sample = jax.jit(lambda: model.apply(variables, jax.random.key(5), 20, method='sample'))()
    assert set(np.unique(sample)) == {0.0, 1.0}


@pytest.mark.parametrize(
    'flow',
    [
        ChainFlow(num_features=2, layers=(Chain([Softplus()]),)),
        NICE(mixing=Softplus()),
        RealImageFlow(shape=(2, 2, 1), flow=MultiScaleFlow(1, 1), first=Softplus()),
    ],
    ids=lambda flow: type(flow).__name__,
)
def test_flow_with_a_part_that_is_not_onto_says_so(flow):
    assert not flow.is_onto
    with pytest.raises(ValueError, match='does not reach the whole latent space'):
        flow.apply({}, jax.random.key(0), 3, method='sample')


def test_flow_that_tells_no_step_refuses_a_gradient_that_needs_it():
    with pytest.raises(ValueError, match=r"ChainFlow tells its layers no step, .*'amortised'"):
        ChainFlow(layers=(Chain([RelativeAffine(gradient='amortised')]),))


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: BoundedAffine(0.0), 'bound must be above 0, got 0.0'),
        (lambda: Affine(-1.0), 'bound must be above 0, got -1.0'),
        (lambda: RationalQuadraticSpline(4, -3.0), 'bound must be above 0, got -3.0'),
        (lambda: AlternatingMask(2), 'first must be 0 or 1, got 2'),
        (lambda: Conv(4, size=5), 'size must be 3 or 1, got 5'),
    ],
)
def test_settings_that_make_no_map_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_width_that_is_not_the_flows_is_refused():
    with pytest.raises(ValueError, match=r'found 2 and x of shape \(3, 4\)'):
        CouplingFlow(num_couplings=0).apply({}, jnp.zeros((3, 4)), method='forward_and_log_det')
    with pytest.raises(ValueError, match='at least 2 entries'):
        init(CouplingFlow(num_features=1), jnp.zeros((3, 1)))


@pytest.mark.parametrize('D', [5, 6])
def test_two_couplings_of_real_nvp_move_every_component_by_others(D):
    x = jax.random.normal(jax.random.key(1), (2, D))
    flow = real_nvp(D, 2, ResidualMLP(6, 1))
    variables = flow.init(jax.random.key(0), x, method='log_likelihood')
    variables = jax.tree.map(
        lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), variables
    )
    J = jax.jacrev(lambda x: flow.apply(variables, x[None], method='forward_and_log_det')[0][0])(
        x[0]
    )
    assert ((abs(J) > 1e-6).sum(axis=1) > 1).all()


def test_objective_of_a_flow_with_relative_layers_names_nothing_that_needs_their_determinants():
    x = jax.random.normal(jax.random.key(1), VECTORS)
    for flow, terms in (
        (real_nvp(5, 2, ResidualMLP(6, 1), mixing=relative), {'loss'}),
        (real_nvp(5, 2, ResidualMLP(6, 1), mixing=none), {'loss', 'nll'}),
        (ChainFlow(num_features=5, layers=(Chain([RelativeAffine()]),)), {'loss'}),
        (NICE(mixing=RelativeAffine(), conditioner=MLP(1, 4)), {'loss'}),
    ):
        variables = jax.jit(
            lambda x, flow=flow: flow.init(jax.random.key(0), x, None, None, method='objective')
        )(x)
        assert set(flow.apply(variables, x, None, None, method='objective')) == terms
