"""The toy densities: samplers against their exact densities and against the published figures."""

from types import SimpleNamespace

import numpy as np
import pytest

from train import data
from train.data.datasets.toy_densities import TOYS
from train.errors import UserError

N = 100_000
WITH_DENSITY = [name for name, toy in TOYS.items() if toy.log_density is not None]
# E log p of the published study, nats.
PUBLISHED = {
    'sine': (-1.4189, 1e-4),
    'trimodal': (-3.011, 2e-3),
    'trimodal2': (-2.550, 2e-3),
    'smile': (-3.375, 2e-3),
    'checkerboard': (-3.4657, 1e-4),
    '8gaussians': (-2.829, 4e-3),
    '8gaussians_ffjord': (-2.833, 4e-3),
}


def config(**fields):
    return SimpleNamespace(
        **{
            'dataset': 'toy',
            'toy_name': 'sine',
            'toy_size': 500,
            'seed': 0,
            'seed_data': -1,
            'max_rows': 0,
            'context': '',
            **fields,
        }
    )


def sample(name, n=N, seed=1):
    return TOYS[name].sample(np.random.default_rng(seed), n)


def test_both_published_sets_are_there():
    relative_gradient = 'sine moons smile 2spirals checkerboard rings trimodal trimodal2 8gaussians'
    ffjord = '8gaussians swissroll circles rings moons pinwheel 2spirals checkerboard line cos'
    versions = {'moons_ffjord', '8gaussians_ffjord'}
    assert set(TOYS) == {*relative_gradient.split(), *ffjord.split()} | versions
    without = {'moons', 'moons_ffjord', '2spirals', 'swissroll', 'pinwheel', 'line', 'cos'}
    assert set(WITH_DENSITY) == set(TOYS) - without


@pytest.mark.parametrize('name', WITH_DENSITY)
def test_density_integrates_to_one(name):
    step = 0.02
    axis = np.arange(-9, 9, step) + step / 2  # midpoints: exact for the board's cells
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    mass = np.exp(TOYS[name].log_density(grid)).sum() * step**2
    assert mass == pytest.approx(1, abs=1e-3 if name == 'sine' else 1e-9)


@pytest.mark.parametrize('name', WITH_DENSITY)
def test_sampler_and_entropy_agree_with_the_density(name):
    log_p = TOYS[name].log_density(sample(name).astype(np.float32).astype(float))
    assert np.isfinite(log_p).all()
    assert abs(log_p.mean() + TOYS[name].entropy) <= 4 * log_p.std() / np.sqrt(N) + 1e-6


@pytest.mark.parametrize('name', PUBLISHED)
def test_entropy_is_the_published_bound(name):
    expected, tolerance = PUBLISHED[name]
    assert -TOYS[name].entropy == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize('name', WITH_DENSITY)
def test_points_fall_where_the_density_says(name):
    """Counts in a coarse histogram against the density's mass in each cell."""
    cells, fine = 18, 20
    edges = np.linspace(-9, 9, cells + 1)
    step = (edges[1] - edges[0]) / fine
    axis = edges[0] + (np.arange(cells * fine) + 0.5) * step
    grid = np.stack(np.meshgrid(axis, axis, indexing='ij'), axis=-1)
    p = np.exp(TOYS[name].log_density(grid.reshape(-1, 2))) * step**2
    p = p.reshape(cells, fine, cells, fine).sum((1, 3))
    counts, *_ = np.histogram2d(*sample(name).T, bins=[edges, edges])
    assert counts.sum() == N
    assert (np.abs(counts - N * p) <= 6 * np.sqrt(N * p) + 0.002 * N * p + 6).all()


def test_moons_lie_on_two_half_circles():
    points = sample('moons')
    upper = np.abs(np.linalg.norm(points, axis=1) - 1)
    lower = np.abs(np.linalg.norm(points - [1, 0.5], axis=1) - 1)
    assert np.minimum(upper, lower).max() < 6 * 0.05
    np.testing.assert_allclose(points.mean(0), [0.5, 0.25], atol=0.01)
    half = np.trapezoid(np.sin(np.linspace(0, np.pi, 1001)) ** 2, dx=1 / 1000)
    assert points[:, 0].var() == pytest.approx(half + 0.25 + 0.05**2, abs=0.02)


def test_moons_are_independent_draws():
    draws = [TOYS['moons'].sample(np.random.default_rng(seed), 4) for seed in range(4000)]
    of_means = np.mean(draws, axis=1).var(axis=0)
    np.testing.assert_allclose(of_means, sample('moons').var(axis=0) / 4, rtol=0.1)


def test_ffjord_moons_have_the_published_grid():
    class Still:
        """Random numbers without noise, in the order of the grid."""

        permutation = staticmethod(lambda points: points)
        standard_normal = staticmethod(np.zeros)

    points = (TOYS['moons_ffjord'].sample(Still, 5) - [-1, -0.2]) / 2
    expected = [[1, 0], [-1, 0], [0, 0.5], [1, -0.5], [2, 0.5]]
    np.testing.assert_allclose(points, expected, atol=1e-12)


def test_ffjord_moons_are_twice_as_large_and_as_blurred():
    points = (sample('moons_ffjord') - [-1, -0.2]) / 2
    upper = np.abs(np.linalg.norm(points, axis=1) - 1)
    lower = np.abs(np.linalg.norm(points - [1, 0.5], axis=1) - 1)
    assert np.minimum(upper, lower).max() < 6 * 0.1
    np.testing.assert_allclose(points.mean(0), [0.5, 0.25], atol=0.01)
    half = np.trapezoid(np.sin(np.linspace(0, np.pi, 1001)) ** 2, dx=1 / 1000)
    assert points[:, 0].var() == pytest.approx(half + 0.25 + 0.1**2, abs=0.02)


def test_swissroll_is_a_blurred_spiral():
    points = 5 * sample('swissroll')
    t = np.linspace(1.5 * np.pi, 4.5 * np.pi, 20_001)
    expected = np.trapezoid(t**2, t) / (3 * np.pi) + 2
    found = (points**2).sum(1)
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(N)
    centre = [np.trapezoid(t * trig(t), t) / (3 * np.pi) for trig in (np.cos, np.sin)]
    np.testing.assert_allclose(points.mean(0), centre, atol=4 * 8 / np.sqrt(N))


def test_pinwheel_has_five_equal_arms_turned_with_the_radius():
    points = sample('pinwheel') / 2
    radius = np.linalg.norm(points, axis=1)
    assert radius.mean() == pytest.approx(1.005, abs=0.01)
    angle = np.arctan2(points[:, 1], points[:, 0]) + 0.25 * np.exp(radius)
    fifths = np.exp(5j * angle)
    assert np.angle(fifths.mean()) == pytest.approx(0, abs=0.02)
    counts = np.bincount(np.rint(angle / (2 * np.pi / 5)).astype(int) % 5)
    assert (np.abs(counts - N / 5) < 5 * np.sqrt(N / 5)).all()


@pytest.mark.parametrize(
    ('name', 'curve'), [('line', lambda x: x), ('cos', lambda x: 2.5 * np.sin(x))]
)
def test_curves_have_uniform_abscissae(name, curve):
    x, y = sample(name).T
    np.testing.assert_allclose(y, curve(x), atol=1e-12)
    assert (x.min() >= -2.5, x.max() <= 2.5) == (True, True)
    assert x.mean() == pytest.approx(0, abs=0.02)
    assert x.var() == pytest.approx(25 / 12, rel=0.02)


def test_spirals_wind_as_published():
    points = sample('2spirals')
    r = np.linspace(0, 3 * np.pi, 20_001)
    weight = 2 * r / (3 * np.pi) ** 2
    squares = r**2 + 0.5 * r * (np.sin(r) - np.cos(r)) + 0.25 * 2 / 3
    expected = np.trapezoid(weight * squares, r) / 9 + 2 * 0.1**2
    found = (points**2).sum(1)
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(N)
    np.testing.assert_allclose(points.mean(0), 0, atol=4 * 2.3 / np.sqrt(N))


def test_spirals_have_two_equal_arms_of_the_published_width():
    points = sample('2spirals', 4000)
    r = np.linspace(0, 3 * np.pi, 1000)
    arm = np.stack([-np.cos(r) * r + 0.25, np.sin(r) * r + 0.25], axis=1) / 3
    squares = [((points[:, None] - curve) ** 2).sum(-1).min(1) for curve in (arm, -arm)]
    across = 0.1**2 + (0.5 / 3) ** 2 / 12  # the variance left in the one direction off the curve
    assert np.minimum(*squares).mean() == pytest.approx(across, rel=0.1)
    assert np.mean(squares[0] < squares[1]) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize('name', TOYS)
@pytest.mark.parametrize('n', [1, 2, 7])
def test_any_number_of_points(name, n):
    assert sample(name, n).shape == (n, 2)


def test_data_are_seeded_and_splits_are_independent():
    first, again, other = (data.load(config(seed=seed)) for seed in (0, 0, 1))
    rows = np.arange(500)
    train = first.source('train').gather(rows)
    assert train.dtype == np.float32
    np.testing.assert_array_equal(train, again.source('train').gather(rows))
    for different in (first.source('validation'), first.source('test'), other.source('train')):
        assert not np.isin(different.gather(rows)[:, 0], train[:, 0]).any()
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.fingerprint != data.load(config(toy_size=400)).fingerprint
    assert first.fingerprint != data.load(config(toy_name='rings')).fingerprint


def test_toy_data_carry_their_exact_density():
    toy = data.load(config(toy_name='8gaussians'))
    x = toy.source('test').gather(np.arange(5))
    assert toy.log_density(x).shape == (5,)
    assert toy.entropy == pytest.approx(2.83, abs=0.01)
    known = (toy.description.shape, toy.description.levels, len(toy.source('test')))
    assert known == ((2,), None, 500)
    spirals = data.load(config(toy_name='2spirals'))
    assert (spirals.log_density, spirals.entropy) == (None, None)


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'toy_name': 'bananas'}, "unknown toy density 'bananas'.*sine, moons.*8gaussians"),
        ({'toy_size': 0}, 'toy_size must be positive; found 0'),
        ({'dataset': 'imagenet'}, "unknown dataset 'imagenet'.*bsds300.*mnist.*toy"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(fields, message):
    with pytest.raises(UserError, match=message):
        data.load(config(**fields))


def test_unknown_split_is_refused():
    with pytest.raises(UserError, match="train, validation, test; found 'val'"):
        data.load(config()).source('val')
