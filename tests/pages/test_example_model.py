"""The example of a model in a single file of one's own trains, and its fields are config fields."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_own_model_trains_to_a_result(tmp_path):
    done = subprocess.run(
        [sys.executable, 'examples/own_model.py', str(tmp_path / 'run')],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'XLA_FLAGS': ''},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'Test set evaluation: -' in done.stdout
    result = json.loads((tmp_path / 'run' / 'result.json').read_text())
    assert result['config']['laplace'] == {'shrinkage': 0.5}
    lines = (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()
    losses = [json.loads(line)['validation_nll'] for line in lines]
    assert losses[-1] < losses[0] - 5
