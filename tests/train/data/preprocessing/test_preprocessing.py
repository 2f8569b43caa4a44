"""Preprocessing: fits to the training split, presets, one likelihood in all units."""

import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.pixels import keys
from train import data
from train.data.preprocessing import PRESETS, RANGED, Preprocessing, fitting
from train.data.preprocessing.bijectors import Symmetric
from train.data.preprocessing.encoders import Dequantise, Identity, Scale
from train.data.preprocessing.units import Units
from train.data.storage.sources import ArraySource, Subset
from train.errors import UserError


def config(**fields):
    defaults = {'dataset': 'digits', 'preprocessing': 'logit', 'logit_lambda': 1e-6}
    return SimpleNamespace(
        **{
            **defaults,
            'toy_name': 'moons',
            'toy_size': 200,
            'seed': 0,
            'seed_data': -1,
            'flip': False,
            'symmetric_range': False,
            'zca_epsilon': 1e-3,
            'cache_dir': '',
            'max_rows': 0,
            'context': '',
            **fields,
        }
    )


def fit(settings, source):
    return Preprocessing.fit(settings, data.describe(settings), source)


def template(settings):
    return Preprocessing.template(settings, data.describe(settings))


VARIANTS = [(preset, False) for preset in PRESETS if preset != 'binarise']
VARIANTS += [(preset, True) for preset in RANGED]
# Those whose data space has a volume: densities of dequantised pixels.
DENSITIES = [variant for variant in VARIANTS if PRESETS[variant[0]].encoder is Dequantise]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))


@pytest.mark.parametrize(('preset', 'symmetric'), VARIANTS)
def test_images_survive_preprocessing_within_half_a_grey_level(preset, symmetric):
    source = data.load(config()).source('train')
    settings = config(preprocessing=preset, symmetric_range=symmetric)
    preprocessing = fit(settings, source)
    pixels = source.gather(np.arange(100))
    t = preprocessing.encode(pixels, keys(100), False)
    y, log_det = preprocessing.forward_and_log_det(t)
    back, inverse_log_det = preprocessing.inverse_and_log_det(y)
    np.testing.assert_allclose(back, t, atol=1e-5)
    np.testing.assert_allclose(log_det, -inverse_log_det, rtol=1e-4, atol=1e-3)
    shown = np.asarray(preprocessing.to_display(back), np.float64)
    grey = shown * 17 - 0.5 if PRESETS[preset].encoder is Dequantise else shown * 16
    assert np.abs(grey - pixels).max() <= 0.5 + 1e-3


def test_display_clips_pixels_only():
    images = template(config()).to_display(jnp.array([[-0.5, 0.5, 1.5]]))
    np.testing.assert_array_equal(images, [[0, 0.5, 1]])
    toy = config(dataset='toy', preprocessing='none')
    points = template(toy).to_display(jnp.array([[-5.0, 5.0]]))
    np.testing.assert_array_equal(points, [[-5, 5]])


def test_standardise_is_fitted_on_the_dequantised_training_split():
    source = data.load(config()).source('train')
    fitted = fit(config(preprocessing='standardise'), source).bijectors[0]
    pixels = source.gather(np.arange(len(source))).astype(float)
    np.testing.assert_allclose(fitted.mean, (pixels.mean(0) + 0.5) / 17, atol=4e-3)
    exact = np.sqrt((pixels.var(0) + 1 / 12) / 17**2)
    np.testing.assert_allclose(fitted.std, exact, rtol=0.1)


@pytest.mark.usefixtures('x64')
def test_moments_are_merged_over_blocks_without_cancellation(monkeypatch):
    monkeypatch.setattr('train.data.preprocessing.fitting.ROWS_PER_BLOCK', 7)
    x = 1e6 + np.random.default_rng(0).normal(size=(100, 2)) * [1.0, 1e-3]
    toy = config(dataset='toy', preprocessing='standardise')
    fitted = fit(toy, ArraySource(x)).bijectors[0]
    np.testing.assert_allclose(fitted.mean, x.mean(0), rtol=1e-15)
    np.testing.assert_allclose(fitted.std, x.std(0), rtol=1e-6)


@pytest.mark.usefixtures('x64')
def test_rms_divides_all_pixels_by_one_number_and_leaves_a_unit_mean_square():
    source = data.load(config()).source('train')
    preprocessing = fit(config(preprocessing='logit_rms'), source)
    scale = preprocessing.bijectors[1].std
    np.testing.assert_array_equal(scale, np.full(64, scale[0]))
    (y,) = fitting.encoded_blocks(preprocessing, source)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose((y**2).mean(), 1, rtol=1e-12)
    assert y.std(0).max() > 1.05  # not each pixel by its own


@pytest.mark.parametrize('bad', [np.nan, 3.0])
def test_rms_of_pixels_without_deviation_is_refused(bad):
    source = ArraySource(np.full((57, 64), bad, np.float32))
    with pytest.raises(UserError, match='a training split that varies'):
        fitting.STEPS['rms'].fit(config(), Preprocessing((), Identity(), Units(None)), source)


def test_fit_reads_the_split_it_is_given_only():
    x = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    x[50:] = np.nan
    toy = config(dataset='toy', preprocessing='standardise')
    fitted = fit(toy, Subset(ArraySource(x), range(50))).bijectors[0]
    np.testing.assert_allclose(fitted.mean, x[:50].mean(0), atol=1e-6)


@pytest.mark.parametrize('bad', [np.nan, 3.0, 0.1])
def test_constant_or_missing_feature_is_refused(bad):
    x = np.random.default_rng(0).normal(size=(57, 2)).astype(np.float32)
    x[:, 1] = bad
    toy = config(dataset='toy', preprocessing='standardise')
    with pytest.raises(UserError, match=r'feature 1 \(1 in all\)'):
        fit(toy, ArraySource(x))


@pytest.mark.parametrize('preset', PRESETS)
def test_template_has_the_structure_of_a_fit(preset):
    opened = data.load(config())
    fitted = fit(config(preprocessing=preset), opened.source('train'))
    empty = template(config(preprocessing=preset))
    assert jax.tree.structure(fitted) == jax.tree.structure(empty)
    for a, b in zip(jax.tree.leaves(fitted), jax.tree.leaves(empty), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)


def test_preprocessing_goes_through_jit_scan_and_vmap_as_an_argument():
    opened = data.load(config())
    preprocessing = fit(config(preprocessing='standardise'), opened.source('train'))
    pixels = jnp.asarray(opened.source('train').gather(np.arange(12)).reshape(3, 4, 64))

    def transform(preprocessing, rows, keys):
        return preprocessing.forward_and_log_det(preprocessing.encode(rows, keys, True))

    @jax.jit
    def scanned(preprocessing, pixels, keys):
        return jax.lax.scan(
            lambda _, xs: (None, transform(preprocessing, *xs)), None, (pixels, keys)
        )[1]

    step_keys = keys(12).reshape(3, 4)
    expected = [transform(preprocessing, pixels[i], step_keys[i]) for i in range(3)]
    for found in (
        scanned(preprocessing, pixels, step_keys),
        jax.vmap(transform, in_axes=(None, 0, 0))(preprocessing, pixels, step_keys),
    ):
        for i in range(3):
            np.testing.assert_allclose(found[0][i], expected[i][0], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(found[1][i], expected[i][1], rtol=1e-6)


@pytest.mark.usefixtures('x64')
def test_bits_per_dimension_of_one_density_are_the_same_through_every_preset():
    """The density of t is Gaussian; each preset sees its image and must give back the same number."""
    source = data.load(config()).source('train')
    pixels = source.gather(np.arange(50))
    found = []
    for preset, symmetric in DENSITIES:
        settings = config(preprocessing=preset, symmetric_range=symmetric)
        preprocessing = fit(settings, source)
        t = preprocessing.encode(pixels, keys(50), False)
        y, log_det = preprocessing.forward_and_log_det(t)
        back, inverse_log_det = preprocessing.inverse_and_log_det(y)
        log_p_t = (
            -0.5 * ((back - 0.4) / 0.3) ** 2 - math.log(0.3) - 0.5 * math.log(2 * math.pi)
        ).sum(-1)
        log_p_model = log_p_t + inverse_log_det
        bits = preprocessing.units.bits_per_dim(float((log_p_model + log_det).mean()), 64)
        found.append(bits)
    np.testing.assert_allclose(found, found[0], rtol=1e-9)


def zca_source(n=2000, d=5):
    mixing = np.random.default_rng(1).normal(size=(d, d))
    x = np.random.default_rng(0).normal(size=(n, d)) @ mixing + np.arange(d)
    return ArraySource(x)


@pytest.mark.usefixtures('x64')
@pytest.mark.parametrize('epsilon', [0.0, 1e-3, 0.5])
def test_zca_whitens_to_s_over_s_plus_epsilon_by_a_symmetric_matrix(epsilon, monkeypatch):
    monkeypatch.setattr('train.data.preprocessing.fitting.ROWS_PER_BLOCK', 300)
    source = zca_source()
    settings = config(dataset='toy', preprocessing='zca', zca_epsilon=epsilon)
    zca = fit(settings, source).bijectors[0]
    x = source.gather(np.arange(len(source)))
    variances, u = np.linalg.eigh(np.cov(x, rowvar=False, ddof=0))
    np.testing.assert_allclose(zca.matrix, zca.matrix.T, atol=1e-10)
    y, log_det = zca.forward_and_log_det(jnp.asarray(x))
    found = np.cov(y, rowvar=False, ddof=0)
    np.testing.assert_allclose(found, (u * variances / (variances + epsilon)) @ u.T, atol=1e-9)
    np.testing.assert_allclose(log_det[0], -0.5 * np.log(variances + epsilon).sum(), rtol=1e-12)
    np.testing.assert_allclose(log_det[0], np.linalg.slogdet(zca.matrix)[1], rtol=1e-9)
    np.testing.assert_allclose(zca.inverse @ zca.matrix, np.eye(5), atol=1e-9)


def test_zca_of_images_is_that_of_the_dequantised_training_split():
    source = data.load(config()).source('train')
    zca = fit(config(preprocessing='zca'), source).bijectors[0]
    pixels = source.gather(np.arange(len(source))).astype(float)
    covariance = np.cov(pixels, rowvar=False, ddof=0) / 17**2 + np.eye(64) / 12 / 17**2
    expected = -0.5 * np.linalg.slogdet(covariance + 1e-3 * np.eye(64))[1]
    np.testing.assert_allclose(zca.log_det, expected, rtol=3e-3)
    np.testing.assert_allclose(zca.mean, (pixels.mean(0) + 0.5) / 17, atol=4e-3)


def test_zca_without_epsilon_refuses_a_constant_direction():
    x = np.random.default_rng(0).normal(size=(57, 2)) @ [[1, 1], [1, 1]]
    settings = config(dataset='toy', preprocessing='zca', zca_epsilon=0.0)
    with pytest.raises(UserError, match='use a positive config'):
        fit(settings, ArraySource(x.astype(np.float32)))


def test_fit_of_the_same_rows_is_found_again_and_of_others_is_not(tmp_path, monkeypatch, caplog):
    source = zca_source()
    settings = config(dataset='toy', preprocessing='zca', cache_dir=str(tmp_path / 'cache'))
    first = fit(settings, source)
    (path,) = (tmp_path / 'cache/fits').iterdir()
    with monkeypatch.context() as patched:
        patched.setattr(fitting, '_zca_arrays', lambda *_: pytest.fail('fitted again'))
        again = fit(settings, source)
    jax.tree.map(np.testing.assert_array_equal, first, again)
    other = fit(settings, Subset(source, range(1000)))
    assert other.bijectors[0].log_det != first.bijectors[0].log_det
    path.write_bytes(path.read_bytes()[:300])
    repaired = fit(settings, source)
    assert 'damaged fit' in caplog.text
    jax.tree.map(np.testing.assert_array_equal, first, repaired)


def test_scale_keeps_the_grid_and_pixel_mean_centres_it():
    source = data.load(config()).source('train')
    pixels = source.gather(np.arange(len(source)))
    t = Scale(17).encode(pixels, None, True)
    np.testing.assert_allclose(t, pixels / 16, atol=1e-7)
    preprocessing = fit(config(preprocessing='pixel_mean'), source)
    y, log_det = preprocessing.forward_and_log_det(t)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-6)
    assert (preprocessing.units.bits_per_dim(0.0, 64), float(log_det[0])) == (None, 0.0)


def test_binary_data_are_measured_in_bits_without_a_volume():
    units = template(config(preprocessing='binarise')).units
    assert units.bits_per_dim(-64 * math.log(2), 64) == pytest.approx(1)


def test_whole_grey_levels_stay_and_are_shown_between_black_and_white():
    source = data.load(config()).source('train')
    preprocessing, pixels = template(config(preprocessing='levels')), source.gather(np.arange(9))
    np.testing.assert_array_equal(preprocessing.encode(pixels, keys(9), True), pixels)
    shown = preprocessing.to_display(jnp.array([[0.0, 4.0, 16.0, 17.0]]))
    np.testing.assert_array_equal(shown, [[0, 0.25, 1, 1]])
    assert preprocessing.units.bits_per_dim(-64 * math.log(17), 64) == pytest.approx(math.log2(17))


def test_mirrored_images_are_dequantised_like_the_others():
    settings = config(dataset='cifar10', preprocessing='none', flip=True)
    preprocessing = template(settings)
    images = np.random.default_rng(0).integers(0, 256, (50, 3072)).astype(np.uint8)
    t = np.asarray(preprocessing.encode(images, keys(50), True), np.float64)
    grey = np.floor(t * 256).reshape(50, 32, 32, 3)
    expected = images.reshape(50, 32, 32, 3)
    same, mirrored = ((grey == other).all((1, 2, 3)) for other in (expected, expected[:, :, ::-1]))
    assert (same ^ mirrored).all()
    assert 0 < mirrored.sum() < 50


@pytest.mark.parametrize(
    ('nats', 'num_features', 'symmetric', 'bits'),
    [
        (1980.50, 784, False, 4.356),
        (5514.71, 2304, False, 4.547),
        (11496.55, 3072, False, 2.601),
        (5371.78, 3072, True, 4.477),
    ],
)
def test_published_likelihoods_are_their_published_bits_in_either_range(
    nats, num_features, symmetric, bits
):
    log_det = 0.0
    if symmetric:
        log_det = float(Symmetric().forward_and_log_det(jnp.zeros((1, num_features)))[1][0])
    assert Units(256).bits_per_dim(nats + log_det, num_features) == pytest.approx(bits, abs=6e-4)


def test_uniform_density_costs_log2_levels_bits():
    assert Units(256).bits_per_dim(0.0, 784) == 8
    assert Units(17).bits_per_dim(0.0, 64) == pytest.approx(math.log2(17))
    assert Units(256).bits_per_dim(1980.5, 784) == pytest.approx(4.356, abs=5e-4)  # NICE on MNIST
    assert Units(None).bits_per_dim(-1.0, 2) is None


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        (
            {'preprocessing': 'zca2'},
            "unknown preprocessing 'zca2'.*logit, logit_mean, logit_rms, mean",
        ),
        ({'dataset': 'toy'}, "'logit' needs pixels, and toy holds real numbers"),
        ({'dataset': 'toy', 'preprocessing': 'binarise'}, "'binarise' needs pixels.*toy"),
        ({'symmetric_range': True}, "dequantised pixels.*found 'logit' of digits: leave it out"),
        ({'flip': True}, 'config.flip mirrors.*cifar10; found digits'),
        ({'preprocessing': 'zca', 'zca_epsilon': -1.0}, 'zca_epsilon must be at least 0; found -1'),
        ({'logit_lambda': 0.5}, r'logit_lambda must lie in \[0, 0.5\); found 0.5'),
    ],
)
def test_impossible_preprocessing_is_refused(fields, message):
    with pytest.raises(UserError, match=message):
        template(config(**fields))
