"""Reports put runs, studies and published series side by side."""

import json

import numpy as np
import pytest

from train import reporting, study_results
from train.errors import UserError


def write_run(folder, nats):
    folder.mkdir()
    result = {
        'nats': nats,
        'nats_2se': 1.4,
        'bits_per_dim': 2.0187,
        'exact': True,
        'epochs': 51,
        'config': {'model': 'mlp_flow', 'dataset': 'mnist', 'toy_name': 'sine'},
    }
    (folder / 'result.json').write_text(json.dumps(result))
    return folder


def write_study(folder, model, losses):
    folder.mkdir()
    broken = ~np.isfinite(losses)
    found = {
        'model': model,
        'dataset': '8gaussians',
        'quantity': 'exact log-likelihood',
        'seeds': list(range(len(losses))),
        'epochs': losses.shape[1],
        'val': losses.tolist(),
        'diverged': [int(row.argmax()) + 1 if row.any() else None for row in broken],
        'test_nats': (-losses[:, 0]).tolist(),
        'entropy': 2.83,
        'metrics': study_results.metrics(losses),
    }
    (folder / 'study.json').write_text(json.dumps(found))
    return folder


@pytest.fixture
def items(tmp_path):
    decay = 2.9 + np.exp(-np.arange(1, 11))[None] + 0.01 * np.arange(5)[:, None]
    diverging = decay + 1
    diverging[2, 4:] = np.nan
    series = tmp_path / 'vae_8gaussians_5.json'
    series.write_text(json.dumps({'train': (-decay).tolist(), 'val': (-decay - 3).tolist()}))
    paths = [
        write_run(tmp_path / 'run', -1368.985),
        write_study(tmp_path / 'good', 'flow', decay),
        write_study(tmp_path / 'bad', 'lvae', diverging),
        series,
    ]
    return [reporting.read(path) for path in paths]


def test_tables_hold_figures_beside_published_ones(items):
    text = reporting.markdown(items)
    assert (
        '| run | mlp_flow | mnist | -1369.0 +- 1.4 | 2.019 | exact | 51 | -1375.2 +- 1.4 |' in text
    )
    assert '2.91 +- 0.02, 1 of 10 diverged' in text
    assert '| bad | lvae | 8gaussians | 5 | 1 |' in text
    assert '| vae_8gaussians_5 | published vae | 8gaussians | 5 | 0 |' in text
    assert 'good (flow) against bad (lvae)' in text


def test_diverged_run_makes_the_last_loss_worse_and_is_not_hidden(items):
    metrics = items[2][2]['metrics']
    assert metrics['divergence_rate'] == pytest.approx(0.2)
    assert metrics['last']['median'] == pytest.approx(3.93, abs=0.01)
    assert metrics['last']['interval'][1] > 3.93


def test_page_needs_nothing_else(items):
    text = reporting.page(items)
    assert text.count('data:image/png;base64,') == 2
    assert 'http' not in text.replace('charset', '')
    assert text.count('<table>') == 2


def test_folder_without_result_is_refused(tmp_path):
    with pytest.raises(UserError, match='found neither'):
        reporting.read(tmp_path)
