"""A run's folder: whose it is, and a config that is older than a field."""

import json

import pytest
from etils import epath

from tests.helpers import runs
from train.config import get_config
from train.errors import UserError
from train.library.pretrained import read_config
from train.reports import reading, report
from train.runtime import workdir as workdirs


def write_config(folder, config, *without):
    fields = json.loads(config.to_json())
    for name in without:
        del fields[name]
    (folder / 'config.json').write_text(json.dumps(fields))
    return epath.Path(folder)


def test_config_from_before_a_field_is_at_its_default(tmp_path):
    (tmp_path / 'checkpoints' / '8').mkdir(parents=True)
    folder = write_config(tmp_path, runs.config(lr=0.5), 'grad_clip', 'final_split')
    workdirs.check(folder, runs.config(lr=0.5))
    found = read_config(folder)
    assert (found.grad_clip, found.final_split, found.lr) == (0.0, 'test', 0.5)
    with pytest.raises(UserError, match=r'another run: grad_clip \(0.0 there, 1.0 here\)'):
        workdirs.check(folder, runs.config(lr=0.5, grad_clip=1.0))


@pytest.mark.parametrize(
    ('field', 'sentence'),
    [({'invented': 3}, 'found invented'), ({'num_layers': 'four'}, 'values of the types')],
)
def test_config_that_is_not_of_this_version_is_refused(tmp_path, field, sentence):
    stored = json.loads(runs.config().to_json()) | field
    (tmp_path / 'config.json').write_text(json.dumps(stored))
    with pytest.raises(UserError, match=sentence):
        read_config(epath.Path(tmp_path))


def test_folder_without_a_checkpoint_is_nobodys_run(tmp_path):
    folder = epath.Path(tmp_path)
    (tmp_path / 'checkpoints' / '8.orbax-checkpoint-tmp').mkdir(parents=True)
    workdirs.write_config(folder, runs.config(preprocessing='standardise'))
    workdirs.write_config(folder, runs.config(preprocessing='none'))
    assert read_config(folder).preprocessing == 'none'
    (tmp_path / 'checkpoints' / '8').mkdir()
    with pytest.raises(UserError, match='holds another run: preprocessing'):
        workdirs.write_config(folder, runs.config(preprocessing='standardise'))


def test_misspelt_field_in_a_config_file_is_an_error():
    with pytest.raises(AttributeError, match='Did you mean "num_layers"'):
        get_config().num_layer = 3


@pytest.mark.parametrize(
    ('path', 'expected'), [('a', 'a'), ('a/', 'a/report'), ('there', 'there/report')]
)
def test_output_goes_into_a_folder(tmp_path, path, expected):
    (tmp_path / 'there').mkdir()
    assert str(workdirs.output(f'{tmp_path}/{path}', 'report')) == f'{tmp_path}/{expected}'


def test_report_takes_a_record_from_before_a_field(tmp_path):
    config = json.loads(runs.config(toy_name='sine').to_json())
    del config['toy_name']
    found = {'nats': -1.0, 'nats_2se': 0.1, 'split': 'test', 'exact': True, 'epochs': 3}
    (tmp_path / 'result.json').write_text(json.dumps(found | {'config': config}))
    assert '| sine |' in report.markdown([reading.read(tmp_path)])
