"""MAF's tables through TFDS: from a folder, an archive or a download to rows that runs read."""

import dataclasses
import hashlib
import http.server
import os
import tarfile
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers import maf_samples
from train import data
from train.data.acquisition import archive, server_probe, tfds_library
from train.data.datasets.maf import acquire, tables
from train.data.datasets.maf.dataset import TABLES, MafDataset
from train.data.storage import prepared_directory
from train.errors import UserError

SIZES = {
    'power': (162, 18, 20),
    'gas': (122, 13, 15),
    'miniboone': (81, 9, 10),
    'bsds300': (50, 10, 20),
}


def small(table, archive=tables.ARCHIVE):
    """The dataset of a table with the split sizes of the samples."""
    description = dataclasses.replace(table.description, split_sizes=SIZES[table.name])
    return MafDataset.of(dataclasses.replace(table, description=description), archive)


POWER = small(tables.POWER)


@pytest.fixture(scope='module')
def samples(tmp_path_factory):
    return maf_samples.write(tmp_path_factory.mktemp('maf') / 'data')


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine of its own, without a network."""
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.setattr(server_probe, 'unreachable', lambda url: 'zenodo.org cannot be reached')
    return tmp_path


def config(machine, manual_dir='', **fields):
    places = {'data_dir': str(machine / 'tfds'), 'manual_dir': str(manual_dir), 'cache_dir': ''}
    return SimpleNamespace(**places | {'source': 'map'} | fields)


def rows_of(opened, split):
    source = opened.source(split)
    return source.gather(np.arange(len(source)))


def assert_nothing_passes_for_a_dataset(machine, name='power'):
    assert prepared_directory.find([machine / 'tfds'], name, tables.VERSION) is None
    left = [path.name for path in (machine / 'tfds').rglob('*') if path.is_file()]
    assert [name for name in left if not name.endswith('.lock')] == []


@pytest.mark.parametrize(
    'dataset', [small(of.table) for of in TABLES if of.name in SIZES], ids=lambda of: of.name
)
@pytest.mark.parametrize('source', ['map', 'memory'])
def test_table_is_read_as_processed_whatever_the_source(machine, samples, dataset, source):
    expected = dataset.table.process(*(samples / file for file in dataset.table.files))
    opened = dataset.load(config(machine, samples, source=source))
    for split in data.SPLITS:
        np.testing.assert_array_equal(rows_of(opened, split), expected[split])


def test_rows_lie_in_blocks(machine, samples, monkeypatch):
    from train.data.datasets.maf import builders

    monkeypatch.setattr(builders, 'ROWS_PER_BLOCK', 50)
    found = POWER.prepare(config(machine, samples))
    assert found.splits == {'train': 4, 'validation': 1, 'test': 1}
    blocks = list(tfds_library.table_blocks(found, 'train'))
    assert [len(block) for block in blocks] == [50, 50, 50, 12]
    expected = POWER.table.process(samples / 'power/data.npy')['train']
    np.testing.assert_array_equal(np.concatenate(blocks), expected)


def test_second_load_needs_neither_the_files_nor_tfds(machine, samples, monkeypatch):
    first = POWER.load(config(machine, samples))
    monkeypatch.setattr(acquire, 'prepare', lambda *_: pytest.fail('prepared again'))
    again = POWER.load(config(machine))
    assert again.fingerprint == first.fingerprint
    for split in data.SPLITS:
        np.testing.assert_array_equal(rows_of(again, split), rows_of(first, split))
    assert POWER.locate(config(machine)) == first.location


def test_tfds_finds_the_builders_by_name(machine, samples):
    import tensorflow_datasets as tfds

    from train.data.datasets.maf import builders

    assert set(builders.BUILDERS) == {table.name for table in TABLES}
    assert all(tfds.builder_cls(name) is cls for name, cls in builders.BUILDERS.items())
    builder = builders.Power(data_dir=str(machine / 'tfds'))
    download_config = tfds.download.DownloadConfig(manual_dir=str(samples))
    with pytest.raises(UserError, match=r'162 rows of 6 numbers .* 1659917 of 6'):
        builder.download_and_prepare(download_config=download_config, file_format='array_record')
    assert_nothing_passes_for_a_dataset(machine)


@pytest.mark.parametrize('nested', [False, True])
def test_folder_may_be_the_archive_s_or_the_one_around_it(machine, samples, nested):
    opened = POWER.load(config(machine, samples.parent if nested else samples))
    assert len(opened.source('train')) == 162


def test_folder_that_lacks_one_of_two_files_is_refused_by_name(machine):
    folder = machine / 'maf/hepmass'
    folder.mkdir(parents=True)
    (folder / '1000_train.csv').write_text('')
    with pytest.raises(UserError, match=r'lacks hepmass/1000_test\.csv, which hepmass needs'):
        MafDataset.of(tables.HEPMASS).load(config(machine, machine / 'maf'))


def test_empty_folder_and_no_network_is_one_sentence(machine):
    (machine / 'empty').mkdir()
    with pytest.raises(UserError) as error:
        POWER.load(config(machine, machine / 'empty'))
    message = str(error.value)
    for part in (
        'power was not found',
        'neither power/data.npy nor data.tar.gz',
        'zenodo.org cannot be reached',
        'set manual_dir',
        tables.ARCHIVE.url,
    ):
        assert part in message
    assert '\n' not in message
    assert_nothing_passes_for_a_dataset(machine)


def test_faulty_file_leaves_nothing_that_a_later_run_would_accept(machine, samples):
    folder = machine / 'maf/power'
    folder.mkdir(parents=True)
    content = (samples / 'power/data.npy').read_bytes()
    (folder / 'data.npy').write_bytes(content[:-100])
    with pytest.raises(UserError, match=r'power/data\.npy is damaged or cut short'):
        POWER.load(config(machine, machine / 'maf'))
    assert_nothing_passes_for_a_dataset(machine)
    (folder / 'data.npy').write_bytes(content)
    assert len(POWER.load(config(machine, machine / 'maf')).source('test')) == 20


def test_interrupted_preparation_starts_clean(machine, samples, monkeypatch):
    from train.data.datasets.maf import builders

    def interrupted(self, rows):
        yield 0, {'rows': rows[:10]}
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(builders.Power, '_generate_examples', interrupted)
        with pytest.raises(KeyboardInterrupt):
            POWER.load(config(machine, samples))
    assert_nothing_passes_for_a_dataset(machine)
    assert len(POWER.load(config(machine, samples)).source('train')) == 162


def test_damaged_prepared_files_are_an_error_with_a_remedy(machine, samples):
    found = POWER.prepare(config(machine, samples))
    (shard,) = found.directory.glob('power-train*')
    shard.write_bytes(shard.read_bytes()[:-70_000])
    with pytest.raises(UserError, match=r'the train split in .* is damaged .*delete'):
        POWER.load(config(machine))


@pytest.fixture(scope='module')
def tar(samples, tmp_path_factory):
    path = tmp_path_factory.mktemp('archive') / 'data.tar.gz'
    with tarfile.open(path, 'w:gz') as file:
        file.add(samples, 'data')
    return path


def archive_of(path, url='https://zenodo.example/files/data.tar.gz'):
    return archive.Archive(url, hashlib.md5(path.read_bytes()).hexdigest())


def test_archive_in_the_folder_is_unpacked_in_part(machine, samples, tar):
    opened = small(tables.POWER, archive_of(tar)).load(config(machine, tar.parent))
    expected = POWER.table.process(samples / 'power/data.npy')
    np.testing.assert_array_equal(rows_of(opened, 'test'), expected['test'])
    assert not list((machine / 'tfds').rglob('data.npy'))


def test_archive_cut_short_is_refused_by_name(machine, tar):
    power = small(tables.POWER, archive_of(tar))
    (machine / 'manual').mkdir()
    (machine / 'manual/data.tar.gz').write_bytes(tar.read_bytes()[:-10])
    with pytest.raises(UserError, match=r'data\.tar\.gz is not the published archive .*again from'):
        power.load(config(machine, machine / 'manual'))
    assert_nothing_passes_for_a_dataset(machine)


def test_archive_without_the_file_is_refused(tmp_path, samples):
    path = tmp_path / 'data.tar.gz'
    with tarfile.open(path, 'w:gz') as file:
        file.add(samples / 'gas', 'data/gas')
    with pytest.raises(UserError, match=r'lacks power/data\.npy'):
        archive_of(path).extract(path, ('power/data.npy',), tmp_path / 'out')


@pytest.fixture
def server(tar, monkeypatch):
    """A server of the archive that breaks off after `limit` bytes where that is set."""
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    monkeypatch.setattr(server_probe, 'unreachable', lambda url: None)
    content = tar.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        archive, limit, requests = None, None, []

        def do_GET(self):
            start = int(self.headers.get('Range', 'bytes=0-')[6:-1])
            type(self).requests.append(start)
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header('Content-Length', str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : self.limit])

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(('127.0.0.1', 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        url = f'http://127.0.0.1:{found.server_port}/data.tar.gz'
        Handler.archive = archive_of(tar, url)
        yield Handler
        found.shutdown()
        thread.join()


def test_download_serves_every_table_and_happens_once(machine, server):
    for table, size in ((tables.POWER, 162), (tables.GAS, 122)):
        assert len(small(table, server.archive).load(config(machine)).source('train')) == size
    assert server.requests == [0]


def test_download_that_broke_off_is_an_error_and_goes_on_from_there(
    machine, server, tar, monkeypatch
):
    monkeypatch.setattr(archive, 'BYTES_PER_READ', 1000)
    power = small(tables.POWER, server.archive)
    half = os.path.getsize(tar) // 2000 * 1000
    server.limit = half + 10
    with pytest.raises(UserError, match=r'127\.0\.0\.1 broke off'):
        power.load(config(machine))
    assert prepared_directory.find([machine / 'tfds'], 'power', tables.VERSION) is None
    assert not (machine / 'tfds/downloads/data.tar.gz').exists()
    server.limit = None
    assert len(power.load(config(machine)).source('train')) == 162
    assert server.requests == [0, half]


def test_download_with_another_checksum_is_not_kept(machine, server):
    other = dataclasses.replace(server.archive, md5='0' * 32)
    with pytest.raises(UserError, match=f'expected {"0" * 32}'):
        small(tables.POWER, other).load(config(machine))
    assert [path for path in (machine / 'tfds/downloads').iterdir() if path.suffix == '.gz'] == []
