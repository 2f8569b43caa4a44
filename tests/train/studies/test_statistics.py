"""Study metrics: the published tables, closed-form curves, and runs that break."""

import json
import math
import os
import statistics as by_hand
from pathlib import Path

import numpy as np
import pytest

from train.studies import convergence as metrics
from train.studies import statistics, summary

NAN, INF = np.nan, np.inf

# dataset model | runs with any number, runs lost for good | mean and standard deviation of min, max,
# last and first, mean of exceeds: in the digits in which they are published.
PUBLISHED = """
8gaussians flow     | 10 1 | 2.91 0.02     | 3.36 0.34     | 2.95 0.06     | 3.06 0.10  | 9.9
8gaussians lvae     |  8 2 | 5.822 0.0002  | 11.04 0.44    | 5.824 0.001   | 9.29 0.12  | 0
8gaussians vae      | 10 0 | 5.817 0.0002  | 16.11 1.37    | 5.819 0.0004  | 10.30 0.28 | 0
checkerboard flow   | 10 5 | 3.58 0.03     | 4.23 0.27     | 3.63 0.07     | 3.79 0.07  | 9.5
checkerboard lvae   |  5 5 | 6.918 0.0002  | 12.42 0.27    | 6.920 0.001   | 10.48 0.11 | 0
checkerboard vae    | 10 0 | 6.910 0.0001  | 16.86 2.36    | 6.912 0.0005  | 11.52 0.62 | 0
mnist draw          | 10 0 | 86.33 0.05    | 373.1 9.0     | 86.52 0.09    | 221.1 2.9  | 0
mnist draw2         | 10 0 | 86.02 0.08    | 328.9 3.6     | 86.20 0.11    | 207.5 0.6  | 0
mnist draw3         | 10 0 | 85.85 0.07    | 271.9 4.5     | 85.99 0.15    | 200.6 2.1  | 0
mnist draw4         | 10 0 | 85.67 0.04    | 262.8 3.1     | 85.79 0.09    | 193.8 1.6  | 0
mnist flow          | 10 7 | 162.2 44.7    | 4.65e18 1.4e19 | 176.5 43.2   | 267 159    | 2.2
mnist lvae          | 10 0 | 125.9 0.18    | 306.5 3.9     | 126.1 0.17    | 252.5 1.9  | 0
mnist vae           | 10 0 | 124.65 0.30   | 283.0 17      | 125.07 0.35   | 243.9 3.6  | 0.1
omniglot draw       | 10 0 | 114.75 0.26   | 242.0 8.7     | 117.42 0.28   | 211.9 3.7  | 0
omniglot draw2      | 10 0 | 113.67 0.22   | 283.3 8.0     | 117.62 0.37   | 224.0 1.2  | 0
omniglot draw3      | 10 0 | 109.56 0.15   | 213.0 7.1     | 114.96 0.26   | 180.2 1.7  | 0
omniglot draw4      | 10 0 | 108.32 0.22   | 199.7 3.1     | 115.28 0.41   | 177.4 0.8  | 0
""".strip().splitlines()


def read_series(dataset, model):
    folder = os.environ.get('LIKELIHOOD_ZOO_PUBLISHED_LOSSES')
    if not folder:
        pytest.skip('LIKELIHOOD_ZOO_PUBLISHED_LOSSES does not name the folder of published losses')
    path = Path(folder) / f'{model}_{dataset}_10.json'
    return json.loads(path.read_text())['val']


def by_the_definition(runs):
    """The five metrics of the notebook with nothing but the standard library."""
    rows = []
    for run in runs:
        values = [abs(value) for value in run if not math.isnan(value)]
        if values:
            first = by_hand.fmean(values[:5])
            above = sum(value > first for value in values[5:])
            rows.append((min(values), max(values), values[-1], first, above))
    return [(by_hand.fmean(column), by_hand.pstdev(column)) for column in zip(*rows, strict=True)]


def agrees(value, printed):
    """Whether `printed` is `value` rounded to the digits that are printed."""
    mantissa, _, exponent = printed.partition('e')
    decimals = len(mantissa.partition('.')[2])
    unit = 10.0 ** (int(exponent or 0) - decimals)
    return abs(value - float(printed)) <= 0.5001 * unit


@pytest.mark.parametrize('row', PUBLISHED, ids=lambda row: row.split('|')[0].strip())
def test_published_table_comes_out_of_the_published_series(row):
    name, runs, *cells = [cell.split() for cell in row.split('|')]
    series = read_series(*name)
    table = metrics.published_metrics(series)
    assert [table['runs'], np.isfinite(metrics.loss_epoch(series)).sum()] == [int(n) for n in runs]
    for metric, cell in zip(('min', 'max', 'last', 'first', 'exceeds'), cells, strict=True):
        for value, printed in zip(table[metric], cell, strict=False):
            assert agrees(value, printed), (metric, value, printed)
    for metric, expected in zip(metrics.PUBLISHED, by_the_definition(series), strict=True):
        np.testing.assert_allclose(table[metric], expected, rtol=1e-9, atol=0.005)


def test_published_metrics_drop_nan_epochs_and_signs():
    run = [NAN, -10.0, -8.0, -6.0, NAN, -4.0, -2.0, -7.0, -1.0, NAN]
    expected = {'min': 1.0, 'max': 10.0, 'last': 1.0, 'first': 6.0, 'exceeds': 1}
    assert metrics.published_run_metrics(run) == expected
    table = metrics.published_metrics([run, [NAN] * 10])
    assert table['runs'] == 1
    assert table['last'] == (1.0, 0.0)


def test_published_metrics_of_nothing():
    assert metrics.published_metrics([[NAN, NAN]]) == {'runs': 0}


def test_published_metrics_keep_infinite_epochs():
    assert metrics.published_run_metrics([3.0, INF, 2.0])['max'] == INF


def test_published_metrics_have_no_deviation_beside_an_infinite_epoch():
    table = metrics.published_metrics([[3.0, INF, 2.0], [3.0, 4.0, 1.0]])
    np.testing.assert_array_equal(table['max'], (INF, NAN))
    assert table['last'] == (1.5, 0.5)


BROKEN = np.array(
    [
        [5.0, 4.0, 3.0, 2.0],
        [5.0, 1.0, NAN, NAN],
        [NAN, NAN, NAN, NAN],
        [5.0, INF, 3.0, 1.0],
    ]
)


def test_broken_runs_are_dated_and_counted():
    np.testing.assert_array_equal(metrics.divergence_epoch(BROKEN), [INF, 3, 1, 2])
    np.testing.assert_array_equal(metrics.loss_epoch(BROKEN), [INF, 3, 1, INF])
    assert metrics.divergence_rate(BROKEN) == 0.75


def test_broken_runs_count_as_infinite_and_keep_their_best():
    np.testing.assert_array_equal(metrics.best(BROKEN), [2, 1, INF, 5])
    np.testing.assert_array_equal(metrics.best_epoch(BROKEN), [4, 2, INF, 1])
    np.testing.assert_array_equal(metrics.last(BROKEN), [2, INF, INF, INF])
    np.testing.assert_array_equal(metrics.epochs_to_within(BROKEN, 1.0), [3, INF, INF, INF])
    np.testing.assert_array_equal(metrics.area_under_curve(BROKEN), [10.5, INF, INF, INF])
    np.testing.assert_allclose(metrics.slope(BROKEN, 3), [-1, INF, INF, INF])


def test_exponential_decay_gives_closed_form_metrics():
    floor, height, tau, epochs = -1.5, 4.0, np.array([5.0, 20.0]), 400
    e = np.arange(1, epochs + 1)
    losses = floor + height * np.exp(-e / tau[:, None])
    for epsilon in (0.01, 0.5):
        expected = np.ceil(tau * np.log(height / epsilon))
        np.testing.assert_array_equal(
            metrics.epochs_to_within(losses, epsilon, target=floor), expected
        )
    r = np.exp(-1 / tau)
    area = height * (r * (1 - r**epochs) / (1 - r) - (r + r**epochs) / 2)
    np.testing.assert_allclose(metrics.area_under_curve(losses, floor), area)
    assert metrics.best_epoch(losses).tolist() == [pytest.approx(180, abs=20), epochs]


def test_area_of_one_epoch_is_nothing_unless_the_run_broke():
    np.testing.assert_array_equal(metrics.area_under_curve([[2.0], [NAN]]), [0.0, INF])


def test_best_and_area_keep_the_sign_of_a_curve_through_zero():
    losses = np.array([[1.0, 0.0, -1.0, -2.0, -1.5]])
    assert metrics.best(losses) == -2
    assert metrics.area_under_curve(losses) == -3.25
    assert metrics.epochs_to_within(losses, 0.6) == 4


def test_measures_of_convergence_do_not_change_with_the_zero_or_the_unit_of_a_loss():
    e = np.arange(1, 41)
    losses = 4 * np.exp(-e / np.array([[3.0], [5.0], [8.0]]))
    losses[:, 30] += 0.2
    measures = ('epochs_to_within_1_percent_of_fall', 'spikes')

    def found(losses):
        metrics = summary.metrics(losses, losses)
        return [metrics[name]['median'] for name in measures]

    assert found(losses) == found(losses - 3) == found(1000 * losses + 1e5)
    # Of 4 exp(-1/5) nats one percent is 0.0327: 4 exp(-e/5) is no farther above 4 exp(-8) from epoch 24 on.
    assert found(losses) == [24, 1]


def test_fall_is_from_the_median_of_the_first_losses_to_the_lowest():
    assert summary.fall(np.array([[5.0, 2.0], [1e18, 3.0], [6.0, NAN], [NAN, 1.0]])) == 5.0
    assert summary.fall(np.array([[5.0, 2.0]]), np.array([[7.0, -1.0]])) == 7.0
    assert summary.fall(np.array([[NAN, 2.0]])) == 0.0


def test_slope_of_a_line_is_its_slope_whatever_the_window():
    losses = np.array([[3.0], [0.0]]) - np.array([[0.25], [-0.5]]) * np.arange(30)
    for window in (2, 7, 30):
        np.testing.assert_allclose(metrics.slope(losses, window), [-0.25, 0.5])
    with pytest.raises(ValueError, match='between 2 and 30, the epochs, found 31'):
        metrics.slope(losses, 31)


def test_gap_is_how_far_validation_lies_above_training_at_the_end():
    train = np.array([[1.0, 0.5], [1.0, 2.0], [1.0, NAN]])
    found = metrics.gap([[1.0, 3.0], [1.0, 1.5], [1.0, NAN]], train)
    np.testing.assert_array_equal(found, [2.5, -0.5, INF])


def test_summary_leaves_out_what_is_not_known():
    one_epoch, unknown = np.array([[2.0], [1.0]]), np.array([[NAN], [NAN]])
    assert {'gap', 'slope'}.isdisjoint(summary.metrics(one_epoch, unknown))
    full = summary.metrics(np.array([[2.0, 1.0]]), np.array([[2.0, 0.5]]))
    assert full['gap']['median'] == 0.5
    assert full['slope']['median'] == -1


def test_summary_of_seeds_that_all_broke_is_infinitely_bad():
    found = summary.metrics(np.full((2, 3), NAN), np.full((2, 3), NAN))
    assert found['best']['median'] == found['last']['iqr'][0] == INF
    assert found['divergence_rate'] == 1.0
    assert found['published'] == {'runs': 0}


def test_spikes_count_epochs_above_the_best_so_far():
    count, largest = metrics.spikes([[5.0, 4.0, 9.0, 3.0, 4.5, 2.0], [2.0, 9.0, NAN, 1, 1, 1]], 1.0)
    assert count.tolist() == [2, 1]
    assert largest.tolist() == [5.0, 7.0]


def test_spread_counts_broken_runs_in_the_median_only():
    losses = np.array([[1.0], [2.0], [3.0], [4.0], [NAN]])
    at = metrics.spread(losses, [1])[1]
    assert at['finite'] == 4
    assert at['mean'] == 2.5
    assert at['std'] == pytest.approx(np.std([1, 2, 3, 4], ddof=1))
    assert (at['q25'], at['median'], at['q75']) == (2.0, 3.0, 4.0)
    with pytest.raises(ValueError, match='found 2'):
        metrics.spread(losses, [2])


def test_quantile_agrees_with_numpy_on_finite_values():
    values = np.random.default_rng(0).normal(size=(3, 8))
    for q in (0.0, 0.1, 0.5, 0.77, 1.0):
        np.testing.assert_allclose(metrics.quantile(values, q), np.quantile(values, q, axis=-1))
    assert metrics.quantile([1.0, 2.0, INF, INF], 0.5) == INF
    assert metrics.quantile([1.0, 2.0, 2.0, INF], 0.5) == 2.0


def test_curves_without_an_axis_of_seeds_are_refused():
    with pytest.raises(ValueError, match=r'\(seeds, epochs\), found \(3,\)'):
        metrics.best([1.0, 2.0, 3.0])


def test_bootstrap_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    mean = lambda values: values.mean(axis=-1)  # noqa: E731
    covered = 0
    for repeat in range(300):
        sample = rng.normal(size=40)
        low, high = statistics.bootstrap_interval(sample, mean, level=0.9, draws=400, seed=repeat)
        covered += low <= 0 <= high
    assert 0.83 < covered / 300 < 0.95


def test_bootstrap_interval_of_a_median_reaches_infinity_with_many_broken_runs():
    low, high = statistics.bootstrap_interval([1.0, 1.1, 1.2, 1.3, INF, INF, INF])
    assert low == pytest.approx(1.1, abs=0.11)
    assert high == INF


def test_rank_tests_see_what_differs_and_only_that():
    rng = np.random.default_rng(1)
    groups = {'a': rng.normal(size=10), 'b': rng.normal(size=10), 'c': 5 + rng.normal(size=10)}
    table = statistics.rank_tests(groups)
    assert table['kruskal_wallis'] < 1e-3
    assert table['pairs']['a', 'b']['p'] > 0.05
    assert table['pairs']['a', 'c']['p'] < 1e-3
    assert table['pairs']['a', 'c']['superiority'] == 1.0


def test_rank_tests_take_broken_runs_as_the_worst():
    fine, broken = [1.0, 2.0, 3.0, 4.0, 5.0], [INF, INF, INF, 0.5, INF]
    pair = statistics.rank_tests({'fine': fine, 'broken': broken})['pairs']['fine', 'broken']
    assert pair['superiority'] == pytest.approx(20 / 25)
    same = statistics.rank_tests({'a': [INF, INF], 'b': [INF, INF]})
    assert same['kruskal_wallis'] == 1.0
    with pytest.raises(ValueError, match='at least two groups, found 1'):
        statistics.rank_tests({'a': fine})


def test_holm_adjustment_of_known_values():
    adjusted = statistics.holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])


def test_crossed_variance_recovers_additive_and_interacting_effects():
    a, b = np.array([0.0, 2.0, 4.0]), np.array([-1.0, 1.0])
    shares = statistics.crossed_variance(a[:, None] + b[None, :], ['init', 'order'])
    var_a, var_b = a.var(ddof=1), b.var(ddof=1)
    assert shares['init'] == pytest.approx(var_a / (var_a + var_b))
    assert shares['order'] == pytest.approx(var_b / (var_a + var_b))
    assert shares['interaction and noise'] == pytest.approx(0, abs=1e-12)
    product = np.array([-1.0, 1.0])[:, None] * b[None, :]
    shares = statistics.crossed_variance(product, ['init', 'order'])
    assert shares == {'init': 0, 'order': 0, 'interaction and noise': 1}
    with pytest.raises(ValueError, match=r'two levels or more on each, found shape \(1, 2\)'):
        statistics.crossed_variance(product[:1], ['init', 'order'])


def test_noise_alone_gives_a_factor_no_variance():
    rng = np.random.default_rng(3)
    factors = ['init', 'order', 'noise']
    found = [
        statistics.variance_components(rng.normal(size=(2, 3, 4)), factors) for _ in range(2000)
    ]
    mean = {name: np.mean([each[name] for each in found]) for name in found[0]}
    assert [mean[name] for name in factors] == pytest.approx([0, 0, 0], abs=0.01)
    assert mean['interaction and noise'] == pytest.approx(1, abs=0.02)
    shares = [
        statistics.crossed_variance(rng.normal(size=(10, 10)), ['init', 'order'])['init']
        for _ in range(200)
    ]
    assert np.mean(shares) < 0.04  # sums of squares alone give 9 / 99; above 0 for what is clipped


def test_variance_of_a_factor_is_found_under_noise():
    rng = np.random.default_rng(4)
    found = [
        statistics.variance_components(
            rng.normal(size=(4, 1)) + 2 * rng.normal(size=(4, 5)), ['init', 'order']
        )
        for _ in range(2000)
    ]
    assert np.mean([each['init'] for each in found]) == pytest.approx(1, abs=0.1)
    assert np.mean([each['order'] for each in found]) == pytest.approx(0, abs=0.05)
    assert np.mean([each['interaction and noise'] for each in found]) == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize('n', [2, 3, 10])
def test_interval_of_a_mean_covers_the_truth_as_often_as_it_says(n):
    draws = np.random.default_rng(n).normal(size=(4000, n))
    found = np.array([statistics.mean_interval(values) for values in draws])
    assert np.mean(np.abs(found[:, 0]) < found[:, 1]) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_interval():
    with pytest.raises(ValueError, match='at least two values, found 1'):
        statistics.mean_interval([1.0])


def test_interval_of_a_variance_ratio_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(3)
    few, many = 2 * rng.normal(size=(4000, 5)), rng.normal(size=(4000, 9))
    ratios = few.var(axis=1, ddof=1) / many.var(axis=1, ddof=1)
    low, high = np.transpose([statistics.variance_ratio_interval(r, 5, 9, 0.8) for r in ratios])
    assert np.mean(low > 4) == pytest.approx(0.1, abs=0.02)
    assert np.mean(high < 4) == pytest.approx(0.1, abs=0.02)


def test_variance_shares_of_independent_factors():
    rng = np.random.default_rng(2)
    init, order = 2 * rng.normal(size=4000), rng.normal(size=4000)
    shares = statistics.variance_shares(init + order, {'init': init, 'order': order})
    assert shares['init'] == pytest.approx(0.8, abs=0.05)
    assert shares['order'] == pytest.approx(0.2, abs=0.05)
    with pytest.raises(ValueError, match='found 1 broken runs in `all`'):
        statistics.variance_shares([1.0, INF], {})
