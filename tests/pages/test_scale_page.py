"""`docs/scale.md` says what the records under `results/ahead/` say."""

import pytest

from benchmarks import scale


def test_page_in_the_repository_is_what_the_command_writes():
    assert scale.PAGE.read_text() == scale.page(scale.FOLDER), 'run python -m benchmarks.scale'


def test_no_record_of_the_relative_gradient_has_a_cubic_product():
    found = scale.records.read(scale.FOLDER, 'ahead')
    of_flow = [
        each
        for each in found.values()
        if each['model'] == 'mlp_flow' and 'gradient=ordinary' not in each['command']
    ]
    checked = [each for each in of_flow if each['programs']['training']['rows'] < each['D']]
    assert checked
    for each in checked:
        training = each['programs']['training']
        assert training['cubic_products'] == 0
        assert training['custom_calls'] == {}
        if each['device_count'] > 1 and not each.get('shard_optimizer'):
            # What is exchanged leaves together, but for arrays of hundreds of megabytes.
            large = sum(one['bytes'] > 2e8 for one in training['collectives'])
            assert {one['kind'] for one in training['collectives']} == {'all-reduce'}
            assert len(training['collectives']) <= 1 + large


def test_divided_state_takes_less_memory_and_sends_as_much():
    found = scale.records.read(scale.FOLDER, 'ahead')
    parts, whole = (
        found[f'ahead/{name}']['programs']['training']
        for name in ('wide_12288_sharded', 'wide_12288')
    )
    assert parts['memory']['total'] < 0.7 * whole['memory']['total']
    sent = [sum(one['sent'] for one in each['collectives']) for each in (parts, whole)]
    assert sent[0] == pytest.approx(sent[1], rel=1e-3)
