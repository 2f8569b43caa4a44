"""Files of one JSON object a line, and what is done about damaged ones."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from etils import epath

from train.errors import UserError
from train.runtime.writers import Writer
from train.training import conclusion

DAMAGED = [b'{"step": 3, "lo', b'\xff\xfe\x00', b'{"loss": 1}', b'{"step": "3"}', b'[3]', b'']


@pytest.mark.parametrize('damaged', DAMAGED)
def test_damaged_lines_of_metrics_are_left_out(tmp_path, caplog, damaged):
    path = tmp_path / 'metrics.jsonl'
    path.write_bytes(b'{"step": 1}\n' + damaged + b'\n{"step": 2}\n{"step": 9}\n')
    caplog.set_level(logging.WARNING)
    with Writer(epath.Path(tmp_path), 5) as writer:
        writer.scalars(6, {'loss': 0.5})
    steps = [json.loads(line)['step'] for line in path.read_text().splitlines()]
    assert steps == [1, 2, 6]
    assert '1 lines of' in caplog.text


def test_looks_that_are_counted_at_once_all_count(tmp_path):
    def look(step):
        return [conclusion.count_test_look(epath.Path(tmp_path), step) for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        found = [count for counts in pool.map(look, range(4)) for count in counts]
    assert sorted(found) == list(range(1, 41))
    assert len((tmp_path / 'test_evaluations.jsonl').read_text().splitlines()) == 40


@pytest.mark.parametrize('content', [b'\x00\xff\xfe', b'{"step": 3}\n{"st'])
def test_damaged_count_of_looks_is_refused_and_kept(tmp_path, content):
    path = tmp_path / 'test_evaluations.jsonl'
    path.write_bytes(content)
    with pytest.raises(UserError, match='is damaged at line'):
        conclusion.count_test_look(epath.Path(tmp_path), 8)
    assert path.read_bytes() == content
