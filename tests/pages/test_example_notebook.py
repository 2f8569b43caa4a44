"""The notebook in `examples/` runs, says what its outputs show, and leaves nothing behind."""

import contextlib
import io
import json
import pathlib
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

NOTEBOOK = pathlib.Path(__file__).resolve().parents[2] / 'examples' / 'mnist_by_hand.ipynb'
CELLS = [cell for cell in json.loads(NOTEBOOK.read_text())['cells'] if cell['cell_type'] == 'code']


def likelihoods(text):
    """Model -> validation likelihood in nats after each step that the notebook prints."""
    lines = re.findall(r'^(\w+, \w+) +(0: .*)$', text, re.MULTILINE)
    return {
        name: [float(nats) for nats in re.findall(r'\d+: +(-?[\d.]+)', line)]
        for name, line in lines
    }


def printed(cells):
    """What the notebook keeps of the printed outputs of cells."""
    outputs = [output for cell in cells for output in cell['outputs']]
    return ''.join(
        ''.join(output['text']) for output in outputs if output['output_type'] == 'stream'
    )


@pytest.fixture
def images(tmp_path):
    """A file of 600 images of 8 x 8 bytes: dark frames, correlated pixels inside."""
    generator = np.random.default_rng(0)
    inside = generator.normal(size=(600, 4)) @ generator.normal(size=(4, 36))
    pixels = np.zeros((600, 8, 8), np.uint8)
    pixels[:, 1:-1, 1:-1] = np.clip(128 + 40 * inside, 0, 255).reshape(600, 6, 6)
    np.save(tmp_path / 'images.npy', pixels.reshape(600, 64))
    return tmp_path / 'images.npy'


def test_cells_run_in_order_and_training_improves_on_the_start(images, monkeypatch):
    monkeypatch.setenv('IMAGES', str(images))
    monkeypatch.setenv('STEPS', '30')
    names, out = {'__name__': 'notebook'}, io.StringIO()
    options = np.get_printoptions()
    try:
        with contextlib.redirect_stdout(out):
            for number, cell in enumerate(CELLS):
                exec(compile(''.join(cell['source']), f'cell {number}', 'exec'), names)
    finally:
        np.set_printoptions(**options)
        plt.close('all')
    assert '500 training and 100 validation images of 64 pixels' in out.getvalue()
    found = likelihoods(out.getvalue())
    assert found.keys() == likelihoods(printed(CELLS)).keys()
    assert all(len(nats) == 4 and np.isfinite(nats).all() for nats in found.values())
    orthogonal = found['relative, orthogonal']
    assert orthogonal[-1] > orthogonal[0]
    assert min(found['relative, whiten'] + found['amortised, whiten']) > orthogonal[0]
    difference = re.search(r'largest difference from M M\^T G: (\S+)', out.getvalue()).group(1)
    assert float(difference) < 1e-4
    assert names['pixels'].shape == (10, 64)


def test_kept_outputs_are_of_one_whole_execution():
    assert [cell['execution_count'] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    outputs = [output for cell in CELLS for output in cell['outputs']]
    assert {output['output_type'] for output in outputs} == {'stream', 'display_data'}
    assert all(
        output['name'] == 'stdout' for output in outputs if output['output_type'] == 'stream'
    )
    assert NOTEBOOK.stat().st_size < 60_000


def test_kept_outputs_show_what_the_text_says():
    found = likelihoods(printed(CELLS))
    gaussian = -1366.9
    assert found['relative, orthogonal'][-1] < gaussian
    # Whitening begins where the orthogonal start has not arrived.
    assert found['relative, whiten'][0] > found['relative, orthogonal'][-1]
    assert found['amortised, whiten'][-1] > found['relative, whiten'][-1]
