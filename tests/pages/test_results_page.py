"""`RESULTS.md` says what the records say, and a reason where there is no record."""

import json
import math
import shutil
import subprocess

import pytest

from benchmarks import looks, results
from benchmarks.page import curves, explorations, records
from configs import nice_cifar10, study_toy
from train.errors import UserError
from train.reports import commands


@pytest.fixture
def folder(tmp_path):
    """A results folder with the published figures and no record."""
    shutil.copy(results.ROOT / 'results' / 'published.json', tmp_path)
    return tmp_path


def record(config, **fields):
    """What `result.json` holds of a finished run, as far as the page reads it."""
    plain = config.to_dict() | {'epochs': 3, 'max_rows': 4000}
    found = {
        'config': plain,
        'dataset': plain['dataset'],
        'split': 'test',
        'exact': True,
        'epochs': 3,
        'best_epoch': 2,
        'best_step': 40,
        'stopped_early': False,
        'D': 3072,
        'nats': -4730.2,
        'nats_2se': 12.3,
        'nats_data_space': 5542.015,
        'nats_data_space_2se': 12.344,
        'bits_per_dim': 5.3973,
        'test_evaluations': 1,
        'device_kind': 'cpu',
        'device_count': 1,
        'cpu_count': 2,
        'commit': 'f812e87',
        'time': '2026-11-20T09:31:12+00:00',
        'seconds': 90,
    }
    return found | fields


def study(model, last):
    """What `study.json` holds of seeds whose losses fall from 9 over 4 to these."""
    return record(
        study_toy.get_config(),
        model=model,
        dataset='8gaussians',
        seeds=[{'data': 0, 'init': i, 'order': i, 'noise': i} for i in range(len(last))],
        steps=600,
        val=[[9.0, 4.0, loss] for loss in last],
        train=[[9.0, 4.0, loss] for loss in last],
        test_nats=[None if loss is None else -loss for loss in last],
        entropy=2.8316,
        validation_quantity='negative ELBO',
        metrics={'published': {}},
    )


def write(folder, name, found):
    path = folder / f'{name}.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found))


def row(text, *cells):
    """The cells of the one table row that begins with these cells."""
    start = '| ' + ' | '.join(cells) + ' |'
    found = [line for line in text.splitlines() if line.startswith(start)]
    assert len(found) == 1
    return [cell.strip() for cell in found[0].strip('|').split(' | ')]


def test_page_in_the_repository_is_what_the_command_writes():
    written = (results.ROOT / 'RESULTS.md').read_text()
    assert written == results.page(results.ROOT / 'results'), 'run python -m benchmarks.results'


def test_every_published_figure_has_a_reason_while_nothing_was_run(folder):
    text = results.page(folder)
    assert row(text, 'GAS')[4:] == [
        'the data are not here; `--config=configs/gas.py`',
        '',
        '',
        '',
        '',
    ]
    assert row(text, 'MNIST', 'vlae, T = 8')[3:5] == ['-83.60', 'not run: budget']
    lines = text.splitlines()
    above = [i for i, line in enumerate(lines) if line.split(' | ')[2:3] == ['published']]
    studies = [lines[i + 1] for i in above]
    assert len(studies) == 17
    assert all(line.startswith('|  |  | not run: budget |') for line in studies)
    for title in ('Exploration', 'Benchmarks', 'Other runs', 'Records'):
        assert f'## {title}\n\nNone recorded.\n' in text


def test_record_stands_in_the_row_that_names_it_in_the_units_published(folder):
    write(folder, 'runs/nice_cifar_short', record(nice_cifar10.get_config()))
    text = results.page(folder)
    found = row(text, 'CIFAR-10', 'nice', '[-1, 1]')
    on_symmetric = 5542.015 - 3072 * math.log(2)  # pixels twice as far apart in every dimension
    assert found[3] == '5371.78 (4.477 bits/dim, converted here)'
    assert found[4] == f'{on_symmetric:.1f} +- 12.3 (5.397 bits/dim)'
    assert found[5:] == [
        'exact',
        '3 epochs, 60 steps of 200, first 4,000 rows of each split',
        '42',
        '`runs/nice_cifar_short`',
    ]
    assert '| `runs/nice_cifar_short` | 1 x cpu, 2 cores | 1.5 min | 2026-11-20 |' in text


def test_published_bits_follow_from_published_nats_in_the_units_of_the_row():
    # Both of a row: -nats / (D log 2) plus log2 of the grey levels in a unit of length.
    found = {'nats_data_space': 5371.78 + 3072 * math.log(2)}
    assert records.QUANTITIES['nats_symmetric'](found, 3072) == pytest.approx(5371.78)
    bits = 8 - found['nats_data_space'] / (3072 * math.log(2))
    assert bits == pytest.approx(4.477, abs=1e-3)
    # 1375.2 nats in logits are 2.029 bits, 1102.5 nats of grey levels.
    pixels = records.QUANTITIES['nats_grey_levels']({'nats_data_space': 3244.9}, 784)
    assert pixels == pytest.approx(-1102.5, abs=0.1)
    assert -pixels / (784 * math.log(2)) == pytest.approx(2.029, abs=1e-3)


def test_record_that_no_published_figure_names_is_another_run(folder):
    bound = record(nice_cifar10.get_config(), exact=False, num_samples=5000, split='validation')
    write(folder, 'runs/mine', bound)
    found = row(results.page(folder), '`runs/mine`', 'cifar10')
    assert found[3] == '-4730.2 +- 12.3 (5.397 bits/dim), on the validation split'
    assert found[4] == 'importance-weighted, 5,000 samples, ESS not recorded'


@pytest.mark.parametrize(
    ('fields', 'kind'),
    [
        (
            {'effective_sample_size': {'mean': 60.0, 'median': 45.25}, 'importance': 'refined'},
            'importance-weighted, 200 samples of refined proposals, median ESS 45.2',
        ),
        (
            {'effective_sample_size': {'mean': 30.0, 'median': 3.4}},
            'loose bound: median ESS 3.4 of 200 samples',
        ),
        (
            {'effective_sample_size': {'mean': 1.86, 'min': 1.0}},
            'loose bound: mean ESS 1.9 of 200 samples (median not recorded)',
        ),
        (
            {'effective_sample_size': [{'median': 20.0}, {'median': 30.0}]},
            'importance-weighted, 200 samples, median ESS 25.0',
        ),
        ({'num_samples': 1}, 'bound, 1 sample'),
        ({'num_samples': None}, 'exact'),
    ],
)
def test_bound_shows_its_samples_and_their_effective_size(fields, kind):
    assert records.kind({'num_samples': 200} | fields) == kind


def test_command_has_the_config_and_what_differs_from_it():
    found = record(nice_cifar10.get_config('pytorch'))
    assert commands.command(found) == (
        'python -m train.main --config=configs/nice_cifar10.py:pytorch --config.epochs=3 --config.max_rows=4000'
    )


def test_record_older_than_a_field_was_made_with_its_default():
    config = nice_cifar10.get_config()
    found = record(config)
    del found['config']['flip'], found['config']['symmetric_range']
    command = commands.command(found)
    assert '--config.symmetric_range=False' in command
    assert 'flip' not in command


def test_study_stands_below_its_published_row(folder):
    metrics = {
        'min': [2.947, 0.0175],
        'max': [3.36, 0.07],
        'last': [2.947, 0.0175],
        'first': [3.24, 0.06],
        'exceeds': [0.1, 0.3],
        'runs': 3,
    }
    found = study('flow', [2.9, None, 3.0]) | {'metrics': {'published': metrics}}
    write(folder, 'studies/flow_8gaussians', found)
    text = results.page(folder)
    above = '| 8gaussians | flow | published | 2.91 +- 0.02 |'
    lines = text.splitlines()
    here = next(line for i, line in enumerate(lines) if lines[i - 1].startswith(above))
    assert here.startswith('|  |  | `studies/flow_8gaussians` | 2.947 +- 0.018 | 3.360 +- 0.070 |')
    assert here.endswith('| 1 | 3 | 3 |')
    assert (
        row(text, '`studies/flow_8gaussians`', '8gaussians')[3] == '-2.95 +- 0.64 (2 seeds)'
    )  # 12.7 standard errors
    assert '`python -m train.study --config=configs/study_toy.py' in text


def test_models_of_equal_budgets_are_ranked(folder):
    write(folder, 'studies/lvae_8gaussians', study('lvae', [3.0, 3.1, 3.2, 3.3, 3.4]))
    write(folder, 'studies/study_vae_8gaussians', study('study_vae', [3.5, 3.6, 3.7, 3.8, None]))
    write(folder, 'studies/flow_8gaussians', study('flow', [2.9] * 5) | {'steps': 700})
    text = results.page(folder)
    assert row(text, '8gaussians', '`studies/study_vae_8gaussians`')[2] == '1 of 5'
    assert row(text, '8gaussians', '`studies/lvae_8gaussians`')[3] == '3.2 (3.1 to 3.3)'
    ranked = [line for line in text.splitlines() if line.startswith('| 8gaussians | 3 epochs, 600')]
    # All ten seeds in the order of the models: 2 of 252 such splits, both ways.
    pair = '`studies/lvae_8gaussians` | `studies/study_vae_8gaussians` | 1 | 0.0079 |'
    assert [line.partition(' 512, first 4,000 rows of each split | ')[2] for line in ranked] == [
        f'best | {pair}',
        f'last | {pair}',
    ]


def test_spread_over_seeds_is_told_by_what_varied(folder):
    everything, of_init = study('flow', [2.0, 4.0, 3.0]), study('flow', [2.5, 3.5, 3.0])
    of_init['config']['vary'] = 'init'
    write(folder, 'studies/flow_8gaussians', everything)
    write(folder, 'studies/of_init', of_init)
    cells = row(results.page(folder), '`studies/of_init`', 'init')
    assert cells[2:4] == ['3 of 3', '0.500']
    assert cells[4].startswith('0.25 (')


def test_one_seed_has_no_spread():
    found = {
        'seeds': [{}],
        'metrics': {'published': {'min': [99.89, 0.0], 'last': [99.93, 0.0]}},
        'test_nats': [-94.23],
    }
    assert records.study_metrics(found)['min'] == '99.89'
    assert records.study_test(found) == '-94.23 (1 seed)'


def test_candidates_are_ranked_by_validation_with_broken_ones_last(folder):
    candidates = [
        {'name': 'b', 'settings': {'lr': 1e-2}, 'validation_nats': None, 'seeds': 1},
        {'name': 'c', 'settings': {'lr': 1e-3}, 'validation_nats': -90.5, 'seeds': [0, 1]},
        {
            'name': 'a',
            'settings': {'lr': 3e-3, 'start': 'whiten'},
            'validation_nats': -88.25,
            'two_standard_errors': 1.5,
            'seconds': 12.5,
            'seeds': 2,
        },
    ]
    found = {'title': 'Rates', 'about': 'On digits.', 'candidates': candidates}
    write(folder, 'exploration/rates', found)
    text = results.page(folder)
    assert (
        (
            '| a | -88.2 +- 9.5 | 12.5 | 2 | lr 0.003, start whiten |  |\n'  # 12.7 standard errors of 0.75
            '| c | -90.5 | not recorded | 0, 1 | lr 0.001 |  |\n'
            '| b | not finite | not recorded | 1 | lr 0.01 |  |'
        )
        in text
    )


def test_candidate_is_marked_as_tested_where_a_record_is_the_same_run():
    candidate = {'settings': {'lr': 1e-3}, 'validation_nats': -90.513, 'seeds': [42]}
    config = nice_cifar10.get_config()
    config.lr = 1e-3
    runs = {
        'runs/same': record(config, validation_loss=90.51298),
        'runs/other_figure': record(config, validation_loss=90.5138),
        'runs/not_tested': record(config, validation_loss=90.51298, split='validation'),
        'runs/other_rate': record(nice_cifar10.get_config('pytorch'), validation_loss=90.51298),
    }
    runs['runs/other_rate']['config']['lr'] = 2e-3
    assert explorations.tested_as(candidate, runs) == ['runs/same']
    for changed in ({'seeds': [43]}, {'seeds': [42, 43]}, {'validation_nats': None}):
        assert explorations.tested_as(candidate | changed, runs) == []
    assert explorations.tested_as(candidate | {'settings': {'steps': 20}}, runs) == []


def test_every_converted_figure_follows_from_the_published_nats():
    sections = json.loads((results.ROOT / 'results' / 'published.json').read_text())['sections']
    entries = [each for section in sections for each in section['rows'] if 'converted' in each]
    assert len(entries) == 12
    D = {'MNIST': 784, 'TFD': 48**2, 'SVHN': 3072, 'CIFAR-10': 3072}
    # log2 of the grey levels in a unit of length, and of logits the mean log-derivative over the test split, 4619.950.
    levels = {'[0, 1]': 8, '[-1, 1]': 7, 'logits': 8 - 4619.950 / (784 * math.log(2))}
    for each in entries:
        nats = float(each['published'].partition(' ')[0])
        bits = levels[each['space']] - nats / (D[each['data']] * math.log(2))
        assert float(each['converted'].partition(' ')[0]) == pytest.approx(bits, abs=6e-4)


def test_seeds_that_end_far_above_the_others_are_named(folder):
    last = [2.9, 2.91, 2.92, 2.9, 2.93, 3.09, 2.91, None]
    found = {'config': {'seed': 42}, 'val': [[3.0, 2.95, value] for value in last]}
    found['val'][7][1] = None
    assert records.stragglers(found) == [(47, 3.09, 2)]
    broken = {'config': {'seed': 42}, 'val': [[3.0], [None], [None]]}
    assert records.stragglers(broken) == []


def test_looks_of_replaced_records_are_counted(folder):
    first = record(nice_cifar10.get_config())
    second = record(nice_cifar10.get_config(), time='2026-11-21T00:00:00+00:00', nats=-4000.0)
    write(folder, 'runs/nice_cifar_short', second)
    write(folder, 'runs/validated', second | {'split': 'validation', 'time': 'later'})
    past = [looks.look('runs/nice_cifar_short', each) for each in (first, second)]
    (folder / 'test_looks.json').write_text(json.dumps(past))
    assert row(results.page(folder), 'cifar10', 'nice', '2')[3] == '-4730, -4000'


def test_looks_are_found_in_the_history(tmp_path):
    def git(*arguments):
        name = ['-c', 'user.name=a', '-c', 'user.email=a@b.c']
        subprocess.run(['git', '-C', tmp_path, *name, *arguments], check=True, capture_output=True)

    git('init')
    config = nice_cifar10.get_config()
    for time in ('2026-11-20T00:00:00', '2026-11-21T00:00:00'):
        (tmp_path / 'results').mkdir(exist_ok=True)
        write(tmp_path / 'results', 'runs/mine', record(config, time=time))
        git('add', '.')
        git('commit', '-m', time)
    found = looks.merged(looks.history(tmp_path), looks.history(tmp_path))
    assert [each['time'] for each in found] == ['2026-11-20T00:00:00', '2026-11-21T00:00:00']
    assert {(each['record'], each['looks']) for each in found} == {('runs/mine', 1)}


def test_benchmark_shows_its_requirements_or_else_its_medians(folder):
    about = {
        'command': 'python -m benchmarks.x',
        'device_kind': 'cpu',
        'device_count': 1,
        'cpu_count': 2,
        'time': '2026-11-20T09:31:12+00:00',
    }
    speed = {'median': 0.25, 'quartiles': [0.125, 0.5], 'rounds': 3}
    line = {'what': 'ratio', 'required': 'at least 50', 'found': 41.5, 'met': False}
    write(folder, 'benchmarks/strict', about | {'seconds': speed, 'required': [line]})
    write(folder, 'benchmarks/loose', about | {'seconds': {'64': speed}, 'steps': 100})
    text = results.page(folder)
    assert '| ratio | at least 50 | 41.5 | **no** |' in text
    assert '| seconds / 64 | 0.25 | 0.125 to 0.5 |\n| steps | 100 |  |' in text
    assert text.index('### loose') < text.index('### strict')


@pytest.mark.parametrize(
    ('value', 'error', 'text'),
    [
        (-1368.985, 1.41, '-1369.0 +- 1.4'),
        (0.01397, 0.01416, '0.014 +- 0.014'),
        (4.65e18, 1.4e19, '4.65e+18 +- 1.4e+19'),
        (None, None, 'not finite'),
        (19_890, None, '19,890'),
        (0.000147353, None, '0.0001474'),
        (123_456.0, None, '123,456'),
        ('at least 50', None, 'at least 50'),
    ],
)
def test_figures_have_the_digits_that_their_error_allows(value, error, text):
    assert records.figure(value, error) == text


def test_curves_are_shown_by_epoch_in_nats_and_in_bits_where_the_volume_is_constant(folder):
    found = record(
        nice_cifar10.get_config(), validation_quantity='nll', nats=-4730.0, bits_per_dim=5.4
    )
    found['config']['preprocessing'] = 'none'
    write(folder, 'runs/constant', found)
    write(
        folder, 'runs/logit', found | {'config': found['config'] | {'preprocessing': 'logit_mean'}}
    )
    lines = [
        {'epoch': 1, 'step': 20, 'steps_per_second': 10.0, 'validation_nll': 4730.0},
        {'epoch': 2, 'step': 40, 'steps_per_second': 5.0},  # not validated
        {
            'epoch': 3,
            'step': 60,
            'steps_per_second': 20.0,
            'validation_nll': 4730.0 + 3072 * math.log(2),
        },
    ]
    write(folder, 'runs/nice_svhn', found)
    for name in ('constant', 'logit', 'nice_svhn'):
        text = '\n'.join(json.dumps(line) for line in lines)
        (folder / 'runs' / f'{name}.jsonl').write_text(text + '\n')
    page = results.page(folder)
    assert '| `runs/constant` | nats | 4730 |  | 6859 |  | 2 s |  |' in page
    assert '| `runs/constant` | bits/dim | 5.4 |  | 6.4 |  | 2 s |  |' in page
    assert '| `runs/logit` | nats | 4730 |  | 6859 |  | 2 s |  |' in page
    published = '11496.55 (2.601 bits/dim, converted here)'
    assert f'| `runs/nice_svhn` | nats | 4730 |  | 6859 | {published} | 2 s |  |' in page
    assert '| `runs/logit` | bits/dim' not in page
    (folder / 'runs' / 'constant.json').unlink()
    with pytest.raises(UserError, match=r'needs the result\.json of the same run'):
        results.page(folder)


def test_curve_of_updates_has_their_errors_at_both_ends():
    lines = [
        {'reconstruction_error_0': 9.0, 'reconstruction_error_1': 8.5},
        {'reconstruction_error_0': 5.0, 'reconstruction_error_1': 4.25},
    ]
    assert curves.updates(lines) == '9, 8.5 to 5, 4.25'
    assert curves.updates([{'nll': 1.0}]) == ''
