"""`docs/relative_gradient_revisited.md` and its pictures say what the records say."""

import math
import re

import pytest

from benchmarks import results
from benchmarks.page import dense, dense_tables, marked

FOLDER = results.ROOT / 'results'
FIGURE = r'-?\d[\d,]*\.\d+|\d{1,3}(?:,\d{3})+'


@pytest.fixture(scope='module')
def text():
    return results.REVISITED.read_text()


@pytest.fixture(scope='module')
def found():
    return dense.read(FOLDER)


@pytest.fixture(scope='module')
def blocks(found):
    return dense_tables.blocks(found)


def test_blocks_are_what_the_command_writes(text, blocks):
    assert text == marked.filled(text, blocks), 'run python -m benchmarks.results'
    assert sorted(marked.names(text)) == sorted(blocks)


def test_pictures_are_what_the_command_draws(text):
    for name, drawn in results.pictures(FOLDER).items():
        kept = (results.PICTURES / name).read_text()
        assert kept == drawn, f'{name}: run python -m benchmarks.results'
        assert f'(pictures/{name})' in text


def test_every_figure_of_the_text_is_in_a_table(text, blocks):
    """Code, which has the settings, and links aside."""
    written = re.sub(r'^    .*$|`[^`]+`|\[[^\]]*\]\([^)]*\)', '', marked.without(text), flags=re.M)
    figures = set(re.findall(FIGURE, written))
    assert len(figures) > 10
    assert figures <= set(re.findall(FIGURE, '\n'.join(blocks.values())))


def test_bits_per_dimension_follow_from_nats(found):
    entry = dense.published(found, 'mlp_flow, relative gradient')
    bits = dense.bits_of_logits(float(entry['published'].partition(' ')[0]))
    assert f'{bits:.3f} bits/dim' == entry['converted']
    run = found['runs/mnist']
    # The record's noise is one draw, the constant the mean over all of them.
    assert dense.bits_of_logits(run['nats']) == pytest.approx(run['bits_per_dim'], abs=2e-3)
    grey_levels = run['nats_data_space'] - dense.D * math.log(256)
    assert dense.bits_of_grey_levels(grey_levels) == pytest.approx(run['bits_per_dim'], abs=1e-9)


def test_blocks_are_written_anew_and_the_rest_stays():
    page = 'a\n<!-- records: one two -->\nold\n<!-- end -->\nb\n'
    new = marked.filled(page, {'one two': '| new |'})
    assert new == 'a\n<!-- records: one two -->\n\n| new |\n\n<!-- end -->\nb\n'
    assert marked.filled(new, {'one two': '| new |'}) == new
    assert marked.without(new) == 'a\n\nb\n'
    with pytest.raises(KeyError):
        marked.filled(page, {'one': ''})
