"""A random-access data source of TFDS as the rows of a dataset: read when asked for, the same as from memory."""

import numpy as np
import pytest

from train import data
from train.data import batches, catalogue, registry
from train.data.acquisition import tfds_library
from train.data.base import Data, Description
from train.data.preprocessing import Preprocessing
from train.data.storage.sources import ArraySource, as_source
from train.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1)).astype(np.uint8)
DESCRIPTION = Description('pictures', (8, 8, 1), 256, (300, 300, 300), 'none', 'drawn here')


class Pictures:
    """A dataset of the zoo whose splits are whatever it is given."""

    def __init__(self, rows):
        self.rows = rows

    def describe(self, config):
        return DESCRIPTION

    def locate(self, config):
        return ''

    def load(self, config):
        return Data(DESCRIPTION, lambda split: self.rows, fingerprint='pictures')


@pytest.fixture(scope='module')
def builder(tmp_path_factory):
    tfds = tfds_library.datasets_library()

    class Drawn(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version('1.0.0')
        name = 'drawn'

        def _info(self):
            image = tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8, encoding='bytes')
            features = tfds.features.FeaturesDict({'image': image, 'label': np.int64})
            return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {'train': self._generate_examples()}

        def _generate_examples(self):
            for i, image in enumerate(IMAGES):
                yield i, {'image': image, 'label': i}

    made = Drawn(data_dir=tmp_path_factory.mktemp('tfds'))
    made.download_and_prepare(file_format='array_record')
    return made


def opened(monkeypatch, rows, **fields):
    monkeypatch.setitem(registry.DATASETS, 'pictures', Pictures(rows))
    fields = {'preprocessing': 'standardise', 'flip': False, 'symmetric_range': False, **fields}
    config = catalogue.config_of('pictures', **fields)
    return config, data.load(config)


@pytest.mark.parametrize('max_rows', [0, 100])
def test_batches_and_fits_are_those_from_memory(monkeypatch, builder, max_rows):
    found = []
    records = as_source(builder.as_data_source('train'), 'image')
    for rows in (ArraySource(IMAGES.reshape(300, 64)), list(IMAGES), records):
        config, dataset = opened(monkeypatch, rows, max_rows=max_rows)
        source = dataset.source('train')
        assert len(source) == (max_rows or 300)
        chunks = list(batches.chunks(source, [3], 0, 40, 2, lambda rows: rows))
        fit = Preprocessing.fit(config, dataset.description, source).bijectors[0]
        found.append([*(part for chunk in chunks for part in chunk), fit.mean, fit.std])
    for memory, items, read in zip(*found, strict=True):
        np.testing.assert_array_equal(memory, items)
        np.testing.assert_array_equal(memory, read)
    assert {parts[0].dtype for parts in found} == {np.dtype(np.uint8)}


def test_damaged_record_is_one_sentence(monkeypatch, builder):
    _, dataset = opened(monkeypatch, as_source(builder.as_data_source('train'), 'image'))
    (shard,) = builder.data_path.glob('drawn-train.array_record*')
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match=r'rows cannot be read from .*damaged') as error:
        dataset.source('train').gather(np.arange(300))
    assert '\n' not in str(error.value)
