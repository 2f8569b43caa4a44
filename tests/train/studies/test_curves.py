"""The parts of a bound that a study keeps for every seed and epoch: reconstruction and KL; and its reconstructions."""

import jax
import numpy as np
import pytest

from tests.helpers import runs
from tests.helpers.studies import stop_after_11_steps, study
from train.figures import plots
from train.studies import many_seeds

FIELDS = {
    'model': 'study_vae',
    'toy_name': '8gaussians',
    'preprocessing': 'standardise',
    'kl_warmup_steps': 100,
    'num_samples': 2,
    'num_devices': 2,
}


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A study of two epochs whose seed 6 breaks: folder, what it found, the panels of its pictures."""
    folder, drawn = tmp_path_factory.mktemp('study'), []
    first_states, scatters = many_seeds.first_states, plots.scatters

    def poisoned(*arguments):
        state = first_states(*arguments)
        jax.tree.leaves(state.params)[0][1] = np.nan
        return state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(many_seeds, 'first_states', poisoned)
        patch.setattr(plots, 'scatters', lambda *parts: drawn.append(parts[0]) or scatters(*parts))
        return folder, study(folder, **FIELDS, generation=True), drawn


def test_reconstruction_and_kl_add_up_to_the_training_loss_in_data_space(finished):
    folder, found, _ = finished
    assert set(found.parts) == {'reconstruction_error', 'kl'}
    whole = sum(np.array(rows) for rows in found.parts.values())
    np.testing.assert_allclose(whole, found.train, rtol=1e-6)
    assert np.isnan(whole[1]).all()
    assert np.isfinite(whole[[0, 2]]).all()
    lines = runs.metrics(folder)
    for name, rows in found.parts.items():
        assert [line[f'{name}/seed_7'] for line in lines] == rows[2]
        assert f'{name}/seed_6' not in lines[0]


def test_reconstructions_of_every_seed_are_drawn(finished):
    folder, _, drawn = finished
    _, panels = drawn
    assert list(panels) == ['data', 'seed 5', 'seed 6', 'seed 7']
    assert panels['seed 6'] is None
    assert panels['seed 5'].shape == panels['data'].shape == (512, 2)
    assert not np.array_equal(panels['seed 5'], panels['seed 7'])
    assert (folder / 'reconstructions.png').read_bytes().startswith(b'\x89PNG')


def test_parts_of_a_resumed_study_are_those_of_one_that_was_never_stopped(tmp_path, monkeypatch):
    whole = study(tmp_path / 'whole', **FIELDS)
    stop_after_11_steps(tmp_path / 'parts', monkeypatch, **FIELDS)
    parts = study(tmp_path / 'parts', **FIELDS)
    for name in ('train', 'val', 'parts'):
        assert getattr(parts, name) == getattr(whole, name)
