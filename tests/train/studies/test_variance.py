"""Which seeds a study's spread comes from, told from the studies of a report."""

import numpy as np
import pytest

from train.reports import variance


def study(losses, vary, seeds, **config):
    """A study whose seeds end at `losses`, and had their lowest loss, one less, two epochs before."""
    losses = np.asarray(losses, np.float64)[:, None]
    fall = np.array([5.0, 4.0, 3.0, -1.0, 1.0, 0.0])[None]
    seeded = {'seed': 0, 'seed_init': -1, 'vary': vary, 'num_seeds': len(losses)}
    return {
        'config': {'model': 'flow', 'schedule': 'constant', **seeded, **config},
        'seeds': [{'data': 0, **each} for each in seeds],
        'val': (losses + fall).tolist(),
    }


def one_factor(losses, factor, **config):
    seeds = [{'init': 0, 'order': 0, 'noise': 0, factor: i} for i in range(len(losses))]
    return study(losses, factor, seeds, **config)


def everything(losses, **config):
    seeds = [dict.fromkeys(('init', 'order', 'noise'), i) for i in range(len(losses))]
    return study(losses, 'init,order,noise', seeds, **config)


def rows(blocks):
    """The cells of the rows of the table in (sentence, table)."""
    _, text = blocks
    lines = text.splitlines()[2:]
    return [line.removeprefix('| ').removesuffix(' |').split(' | ') for line in lines]


def test_one_factor_at_a_time_gives_shares_of_the_variance_with_all():
    total, init = np.array([1.0, 5.0, 3.0, 3.0]), np.array([2.0, 4.0, 3.0, 3.0])
    found = rows(
        variance.blocks(
            {
                'i': one_factor(init, 'init', epochs=3),
                'n': one_factor(np.full(4, 7.0), 'noise', num_samples=9),
                'a': everything(total),
            }
        )
    )
    std, of_init = total.std(ddof=1), init.std(ddof=1)
    # Half the deviation is a quarter of the variance; the lowest losses lie apart like the last ones. F(3, 3): 15.4.
    assert found == [
        ['a', 'all', '4 of 4', *[f'{std:.3f}', ''] * 2],
        ['i', 'init', '4 of 4', *[f'{of_init:.3f}', '0.25 (0.016 to 3.9)'] * 2],
        ['n', 'noise', '4 of 4', *['0', '0.00 (0 to 0)'] * 2],
    ]


def test_studies_that_differ_otherwise_are_not_compared():
    assert variance.blocks({'i': one_factor([1, 2], 'init'), 'a': everything([1, 2], lr=2)}) == []
    assert variance.blocks({'published': {'val': [[1.0]]}, 'a': everything([1, 2])}) == []


def test_diverged_seeds_are_left_out_and_counted():
    broken = everything([1.0, 5.0, 3.0, np.nan])
    found = rows(variance.blocks({'i': one_factor([2, 4], 'init'), 'a': broken}))
    assert found[0][:4] == ['a', 'all', '3 of 4', '2']
    assert found[1][4].startswith('0.50 (')


def test_without_the_study_of_all_factors_there_is_a_spread_and_no_share():
    found = rows(
        variance.blocks({'i': one_factor([2, 4], 'init'), 'o': one_factor([1, 1], 'order')})
    )
    assert [row[1] for row in found] == ['init', 'order']
    assert found[0][3:] == ['1.414', '', '1.414', '']


def test_studies_of_different_length_are_compared_after_equally_many_epochs():
    short = one_factor([2.0, 4.0], 'init')
    short['val'] = [row[:4] for row in short['val']]
    found = rows(variance.blocks({'i': short, 'a': everything([1.0, 5.0])}))
    assert found[1][4].startswith('0.25 (')


def grid(init_effect, order_effect):
    """One study of the order for each seed of the initialisation."""
    return {
        f's{i}': study(
            a + np.asarray(order_effect),
            'order',
            [{'init': i, 'order': j, 'noise': 0} for j in range(len(order_effect))],
            seed_init=i,
        )
        for i, a in enumerate(init_effect)
    }


def test_grid_of_seeds_gives_main_effects_and_interaction():
    found = rows(variance.blocks(grid([0.0, 6.0], [-1.0, 0.0, 1.0])))
    # Additive effects leave no noise: variances 18 of 0 and 6, and 1 of -1, 0 and 1.
    shares = [f'{18 / 19:.2f}', f'{1 / 19:.2f}', '', '0.00']
    assert found == [['s0, s1', '2 init x 3 order', loss, *shares] for loss in ('best', 'last')]


@pytest.mark.parametrize('missing', [True, False], ids=['missing', 'diverged'])
def test_incomplete_grid_is_no_grid_and_a_diverged_run_is_named(missing):
    studies = grid([0.0, 6.0], [-1.0, 0.0, 1.0])
    if missing:
        studies['s1']['seeds'].pop()
        studies['s1']['val'].pop()
        assert variance.blocks(studies) == []
    else:
        studies['s1']['val'][0][4:] = [None, None]  # after its best epoch
        assert [row[3] for row in rows(variance.blocks(studies))] == ['1 diverged'] * 2
