"""What every bijector and every exact flow promises. A new one adds one row to a table."""

import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows import (
    ELU,
    MADE,
    MLP,
    NICE,
    ActNorm,
    AdditiveCoupling,
    AlternatingMask,
    Autoregressive,
    Chain,
    ChainFlow,
    DiagonalScaling,
    Gaussian,
    GaussianFlow,
    HalfMask,
    LeakyTanh,
    Logistic,
    LUAffine,
    MLPFlow,
    RationalQuadraticSpline,
    RelativeAffine,
    Reverse,
    SmoothLeakyReLU,
    Softplus,
    SplineActivation,
    alternating,
)

BIJECTORS = {
    'smooth leaky relu': lambda: SmoothLeakyReLU(0.1),
    'leaky tanh': lambda: LeakyTanh(),
    'elu': lambda: ELU(0.5),
    'softplus': lambda: Softplus(),
    'spline activation': lambda: SplineActivation(num_bins=4),
    'reverse': lambda: Reverse(),
    'diagonal scaling': lambda: DiagonalScaling(),
    'relative affine': lambda: RelativeAffine(),
    'lu affine': lambda: LUAffine(),
    'autoregressive': lambda: Autoregressive(MADE(7, 1, residual=True)),
    'autoregressive splines': lambda: Autoregressive(MADE(6, 2), RationalQuadraticSpline(4)),
    'relative affine, no bias': lambda: RelativeAffine(use_bias=False),
    'relative affine, ordinary gradient': lambda: RelativeAffine(gradient='ordinary'),
    'additive coupling, alternating': lambda: AdditiveCoupling(AlternatingMask(1), MLP(1, 8)),
    'additive coupling, halves': lambda: AdditiveCoupling(HalfMask(), MLP(1, 8)),
    'actnorm': lambda: ActNorm(),
    'gaussian': lambda: GaussianFlow(),
    'chain': lambda: Chain([RelativeAffine(), LeakyTanh(), Reverse(), DiagonalScaling()]),
    'empty chain': lambda: Chain([]),
}
MODELS = {
    'mlp flow': lambda base: MLPFlow(activation=SmoothLeakyReLU(0.3), base=base),
    'mlp flow, ordinary gradient': lambda base: MLPFlow(
        activation=SmoothLeakyReLU(0.3), layer=RelativeAffine(gradient='ordinary'), base=base
    ),
    'mlp flow, leaky tanh': lambda base: MLPFlow(activation=LeakyTanh(), base=base),
    'mlp flow, three layers': lambda base: MLPFlow(
        num_layers=3, activation=SmoothLeakyReLU(0.5), base=base
    ),
    'mlp flow, one layer, no bias': lambda base: MLPFlow(
        num_layers=1, layer=RelativeAffine(use_bias=False), base=base
    ),
    'mlp flow, learnt activations': lambda base: MLPFlow(
        num_layers=3, activation=SplineActivation(num_bins=4), base=base
    ),
    'mlp flow, activations at both ends': lambda base: MLPFlow(
        num_layers=1, activation=SmoothLeakyReLU(0.5), ends=True, base=base
    ),
    'mlp flow, learnt base': lambda base: MLPFlow(
        num_layers=1, activation=SplineActivation(num_bins=4), learnt_base=True, base=base
    ),
    'masked autoregressive flow': lambda base: ChainFlow(
        num_features=3,
        layers=(Autoregressive(MADE(6, 1)), Reverse(), Autoregressive(MADE(6, 1))),
        base=base,
    ),
    'nice, alternating': lambda base: NICE(masks=alternating(3), conditioner=MLP(1, 16), base=base),
    'nice, halves': lambda base: NICE(
        masks=(HalfMask(),) * 3, mixing=Reverse(), conditioner=MLP(1, 16), base=base
    ),
    'nice, learnt mixing': lambda base: NICE(
        mixing=RelativeAffine(), conditioner=MLP(1, 16), base=base
    ),
}
TAKE_WHOLE_NUMBERS = ('reverse', 'empty chain')
FIXED = ('x_fixed', 'y_fixed')  # parameters that stay as they start
ALL = BIJECTORS | {name: lambda make=make: make(Logistic()) for name, make in MODELS.items()}
TRAINED = {
    name: make
    for name, make in ALL.items()
    if isinstance(make(), nn.Module) and name != 'empty chain'
}
B = 4

every_map = pytest.mark.parametrize('make', ALL.values(), ids=ALL)
every_model = pytest.mark.parametrize('make', MODELS.values(), ids=MODELS)


def parameters(module, x, seed=0, method='forward_and_log_det'):
    """Random parameters in the dtype of x, none at a special value; {} where there are none.

    Square matrices are the identity plus noise, so that they are well conditioned.
    """
    if not isinstance(module, nn.Module):
        return {}
    rest = () if method == 'forward_and_log_det' else (None, 0)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), x, *rest, method=method))
    rng = np.random.default_rng(seed)

    def fill(leaf):
        noise = 0.3 * rng.standard_normal(leaf.shape)
        square = leaf.ndim == 2 and leaf.shape[0] == leaf.shape[1]
        return jnp.asarray(np.eye(*leaf.shape) + noise if square else noise, x.dtype)

    return jax.tree.map(fill, shapes)


def apply(module, method):
    """method(variables, *args) of either kind of bijector, jitted."""
    if isinstance(module, nn.Module):
        return jax.jit(lambda variables, *args: module.apply(variables, *args, method=method))
    return jax.jit(lambda _, *args: getattr(module, method)(*args))


def rows(D, dtype='float64', seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal((B, D)), dtype)


@pytest.mark.parametrize(
    ('make', 'D'),
    [
        pytest.param(make, D, id=f'{name}-{D}')
        for name, make in ALL.items()
        # An even number too where the components are divided.
        for D in ((1, 4, 5) if 'coupling' in name or 'nice' in name else (1, 5))
    ],
)
def test_inverse_and_log_det_agree_with_autodiff(make, D, x64):
    module, x = make(), rows(D)
    variables = parameters(module, x)
    z, log_det = apply(module, 'forward_and_log_det')(variables, x)
    back, inverse_log_det = apply(module, 'inverse_and_log_det')(variables, z)
    np.testing.assert_allclose(back, x, atol=1e-9)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-9)

    def one(row):
        return apply(module, 'forward_and_log_det')(variables, row[None])[0][0]

    jacobian = jax.jit(jax.vmap(jax.jacrev(one)))(x)
    np.testing.assert_allclose(log_det, jnp.linalg.slogdet(jacobian)[1], atol=1e-9)


@every_map
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_shapes_and_types(make, dtype):
    module, x = make(), rows(3, dtype)
    variables = parameters(module, rows(3, 'float32'))
    z, log_det = apply(module, 'forward_and_log_det')(variables, x)
    back, inverse_log_det = apply(module, 'inverse_and_log_det')(variables, z)
    assert z.shape == back.shape == x.shape
    assert z.dtype == back.dtype == x.dtype
    assert log_det.shape == inverse_log_det.shape == (B,)
    assert log_det.dtype == inverse_log_det.dtype == jnp.float32


@pytest.mark.parametrize(('name', 'make'), ALL.items(), ids=ALL)
@pytest.mark.parametrize('dtype', ['uint8', 'bool'])
def test_whole_numbers_are_refused_unless_they_are_moved_only(name, make, dtype):
    module, x = make(), rows(4, 'float32') > 0
    variables = parameters(module, x.astype('float32'))
    for method in ('forward_and_log_det', 'inverse_and_log_det'):
        if name in TAKE_WHOLE_NUMBERS:
            found = apply(module, method)(variables, x.astype(dtype))[0]
            expected = apply(module, method)(variables, x.astype('float32'))[0]
            np.testing.assert_array_equal(found, expected)
        else:
            with pytest.raises(ValueError, match=f'takes floating-point numbers, got {dtype}'):
                apply(module, method)(variables, x.astype(dtype))


@pytest.mark.parametrize('gradient', ['relative', 'equivariant', 'ordinary', 'amortised'])
def test_affine_layer_refuses_pixels(gradient):
    with pytest.raises(ValueError, match=r'RelativeAffine takes .* got uint8, .*x.astype'):
        RelativeAffine(gradient=gradient).init(jax.random.key(0), np.ones((2, 3), np.uint8))


@pytest.mark.parametrize('make', TRAINED.values(), ids=TRAINED)
def test_vmap_over_parameters_equals_a_loop(make, x64):
    module, x = make(), rows(3)
    sets = [parameters(module, x, seed) for seed in range(2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *sets)
    forward = apply(module, 'forward_and_log_det')
    z, log_det = jax.vmap(forward, in_axes=(0, None))(stacked, x)
    for index, variables in enumerate(sets):
        expected = forward(variables, x)
        np.testing.assert_allclose(z[index], expected[0], atol=1e-10)
        np.testing.assert_allclose(log_det[index], expected[1], atol=1e-10)


def loss(module, method='forward_and_log_det'):
    """A scalar of both outputs whose gradient reaches every parameter."""
    call = apply(module, method)

    def value(variables, x):
        z, log_det = call(variables, x)
        return jnp.square(z).sum() - log_det.sum()

    return jax.jit(jax.value_and_grad(value, argnums=(0, 1)))


def assert_finite(tree):
    broken = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if not jnp.isfinite(leaf).all()
    ]
    assert not broken, f'not finite: {broken}'


@every_map
@pytest.mark.parametrize('D', [1, 5])
def test_every_parameter_gets_a_finite_gradient(make, D):
    module, x = make(), rows(D, 'float32')
    _, gradient = loss(module)(parameters(module, x), x)
    assert_finite(gradient)
    if D > 2:
        leaves = jax.tree_util.tree_leaves_with_path(gradient)
        still = {jax.tree_util.keystr(path) for path, leaf in leaves if not leaf.any()}
        assert not {path for path in still if not any(name in path for name in FIXED)}, still


@every_map
def test_values_and_gradients_are_finite_far_out(make):
    module = make()
    x = 1e3 * jnp.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0], [1.0, -1.0, 0.0]])
    assert_finite(loss(module)(parameters(module, x), x))
    if getattr(module, 'onto', True):
        assert_finite(loss(module, 'inverse_and_log_det')(parameters(module, x), x))


def integral(model, D, reach, spacing):
    """The integral of the density over [-reach, reach]^D, D 1 or 2, by the midpoint rule."""
    axis = jnp.arange(-reach + spacing / 2, reach, spacing)
    grid = jnp.stack(jnp.meshgrid(*[axis] * D), axis=-1).reshape(-1, D)
    log_p = apply(model, 'log_likelihood')(parameters(model, grid, method='objective'), grid)
    return jnp.exp(log_p).sum() * spacing**D


@pytest.mark.parametrize(
    ('make', 'base'),
    [
        *((make, Gaussian()) for make in MODELS.values()),
        (MODELS['mlp flow'], Logistic()),
    ],
    ids=[*MODELS, 'mlp flow, logistic base'],
)
def test_density_integrates_to_one(make, base):
    model = make(base)
    np.testing.assert_allclose(integral(model, 1, 300, 0.02), 1, atol=5e-4)
    np.testing.assert_allclose(integral(model, 2, 160, 0.25), 1, atol=2e-3)


def test_density_of_a_flow_that_is_not_onto_integrates_to_less():
    assert integral(MLPFlow(activation=Softplus()), 1, 100, 0.02) < 0.9


@every_model
def test_likelihood_objective_and_samples_agree(make, x64):
    model, D = make(Logistic()), 3
    x = rows(D)
    variables = parameters(model, x, method='objective')
    z, log_det = apply(model, 'forward_and_log_det')(variables, x)
    log_p = apply(model, 'log_likelihood')(variables, x)
    np.testing.assert_allclose(log_p, Logistic().log_prob(z) + log_det, rtol=1e-12)
    keys = jax.random.split(jax.random.key(0), B)
    terms = apply(model, 'objective')(variables, x, keys, jnp.int32(0))
    np.testing.assert_allclose(terms['loss'], -log_p, rtol=1e-12)
    assert {term.shape for term in terms.values()} == {(B,)}

    key = jax.random.key(2)
    samples = jax.jit(lambda key: model.apply(variables, key, 6, method='sample'))(key)
    latents, _ = apply(model, 'forward_and_log_det')(variables, samples)
    np.testing.assert_allclose(latents, Logistic().sample(key, (6, D)), rtol=1e-4, atol=1e-4)


def test_objective_of_the_mlp_flow_leaves_log_det_of_the_weights_out_of_the_second_term(x64):
    model, x = MLPFlow(num_layers=3), rows(3)
    variables = parameters(model, x, method='objective')
    terms = apply(model, 'objective')(variables, x, None, 0)
    log_det_W = sum(jnp.linalg.slogdet(layer['W'])[1] for layer in variables['params'].values())
    found = terms['nll_without_log_det_W'] - terms['loss']
    np.testing.assert_allclose(found, jnp.full(B, log_det_W), rtol=1e-10)


@settings(derandomize=True, deadline=None, max_examples=5, database=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    D=st.integers(1, 9),
    depth=st.integers(1, 4),
    batch=st.integers(1, 6),
    alpha=st.floats(0.01, 1),
    scale=st.sampled_from([1.0, 1e3]),
)
def test_deep_flow_inverts_at_any_size(seed, D, depth, batch, alpha, scale):
    rng = np.random.default_rng(seed)
    model = MLPFlow(num_layers=depth, activation=SmoothLeakyReLU(alpha))
    x = scale * rng.standard_normal((batch, D))

    def matrix():
        """Singular values in [0.1, 10]."""
        U, V = (np.linalg.qr(rng.standard_normal((D, D)))[0] for _ in range(2))
        return U * 10 ** rng.uniform(-1, 1, D) @ V

    variables = {
        'params': {
            f'affine_{layer}': {'W': matrix(), 'b': rng.standard_normal(D)}
            for layer in range(depth)
        }
    }
    with jax.enable_x64(True):
        z, log_det = apply(model, 'forward_and_log_det')(variables, x)
        back, inverse_log_det = apply(model, 'inverse_and_log_det')(variables, z)
        # Each layer may enlarge a rounding error by its condition number, 100 for W and 1 / alpha.
        condition = 100.0**depth * alpha ** (1 - depth)
        assert (abs(back - x) <= 1e-14 * condition * (1 + abs(x).max())).all()
        np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-15 * condition * D * 1e3)


def test_package_does_not_import_tensorflow():
    check = 'import sys, flows; sys.exit("tensorflow" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', check], check=False).returncode == 0
