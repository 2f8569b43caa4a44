"""Pictures show what is comparable, where it belongs."""

import numpy as np
import pytest

from train.figures import learning, plots


@pytest.fixture(autouse=True)
def figures(monkeypatch):
    """Pictures as matplotlib figures."""
    monkeypatch.setattr(plots, 'figure_png', lambda figure: figure)


def lines(records):
    return {
        line.get_label(): line.get_xydata().tolist()
        for line in learning.curve(records).axes[0].get_lines()
    }


def test_learning_curve_shows_both_losses_with_one_sign():
    exact = [{'epoch': 1, 'nll': 3.0, 'validation_nll': 4.0}, {'epoch': 2, 'nll': 2.0}]
    assert lines(exact) == {'training loss': [[1, 3], [2, 2]], 'validation_nll': [[1, 4]]}
    bound = [{'epoch': 1, 'elbo': -3.0, 'kl': 1.0, 'validation_negative_elbo': 4.0}]
    assert lines(bound) == {'training loss': [[1, 3]], 'validation_negative_elbo': [[1, 4]]}


def test_learning_curve_leaves_out_a_part_of_the_training_loss():
    records = [{'epoch': 1, 'nll_without_log_det_W': 900.0, 'validation_nll': 4.0}]
    assert lines(records) == {'validation_nll': [[1, 4]]}


def test_learning_curve_of_one_epoch_has_whole_epochs_on_its_axis():
    axes = learning.curve([{'epoch': 3, 'nll': 3.0}]).axes[0]
    assert axes.get_xticks().tolist() == [2, 3, 4]


@pytest.mark.parametrize('broken', [[], [0, 1], [4, 5], range(6)])
def test_learning_curve_is_drawn_whatever_broke(broken):
    losses = [{'epoch': 1 + e, 'nll': np.inf if e in broken else 6.0 - e} for e in range(6)]
    low, high = learning.curve([*losses, {'epoch': 7, 'nll': np.nan}]).axes[0].get_ylim()
    assert np.isfinite([low, high]).all()
    if len(broken) < 2:
        assert low == pytest.approx(1 - 0.05 * 4.5)


def test_panels_lie_in_rows_and_stay_empty_where_there_is_nothing():
    data = np.random.default_rng(0).normal(size=(50, 2))
    panels = {'data': data, 'broken': None, **{f'seed {i}': data + i for i in range(5)}}
    axes = plots.scatters(panels, data).axes
    assert [a.get_title() for a in axes] == list(panels)
    assert len({round(a.get_position().y0, 3) for a in axes}) == 2
    assert [len(a.get_lines()) for a in axes[:2]] == [1, 0]
    assert axes[0].get_xlim() == axes[-1].get_xlim()


def test_density_has_its_maximum_where_the_grid_says():
    points, extent = plots.plane_grid(np.array([[0.0, 0.0], [2.0, 4.0]]), 20)
    log_density = -((points - points[37]) ** 2).sum(axis=1)
    (image,) = plots.densities({'density': log_density}, extent).axes[0].get_images()
    assert image.get_array().argmax() == 37
    assert tuple(image.get_extent()) == pytest.approx(extent)
