"""The only module that imports tensorflow-datasets and TensorFlow.

It is imported when a dataset has to be read or prepared, and not before. TensorFlow stays off the
accelerators, which belong to JAX.
"""

import functools
import math
import os
import sys

import numpy as np
from absl import logging

from train.errors import UserError

ROWS_PER_READ = 1000


@functools.cache
def libraries():
    """(tensorflow, tensorflow_datasets), quiet and on the CPU."""
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
    try:
        import tensorflow as tf
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UserError(
            'reading a dataset for the first time needs tensorflow and tensorflow-datasets '
            f'({error}): install them, or copy a cache that `python -m train.prepare` made '
            'elsewhere and set cache_dir to it.'
        ) from error
    for kind in ('GPU', 'TPU'):
        try:
            tf.config.set_visible_devices([], kind)
        except RuntimeError as error:  # TensorFlow was in use before us: its owner has decided
            logging.warning('TensorFlow keeps its %s devices: %s', kind, error)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    return tf, tfds


def registered_files(name):
    """The original files that TFDS has registered: {file name: (url, bytes, sha256)}."""
    _, tfds = libraries()
    infos = tfds.builder_cls(name).url_infos
    return {info.filename: (url, int(info.size), info.checksum) for url, info in infos.items()}


def prepare(name, version, root, manual_dir=None):
    """Let TFDS prepare a dataset under `root`, from `manual_dir` or by its own download."""
    _, tfds = libraries()
    builder = tfds.builder(f'{name}:{version}', data_dir=os.fspath(root))
    builder.download_and_prepare(
        download_dir=os.fspath(root / 'downloads'),
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir),
        file_format='tfrecord',
    )


def preparation_errors():
    """What TFDS raises where files could not be had, or were not the registered ones."""
    import requests
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
    from tensorflow_datasets.core.download.util import DownloadError

    return requests.RequestException, NonMatchingChecksumError, DownloadError


def read_images(prepared, split, feature, shape, path):
    """Write the images of a split, as read, to a `.npy` at `path`: uint8 (n, prod(shape))."""
    tf, _ = libraries()
    n, num_features, rows = prepared.splits[split], math.prod(shape), 0
    header = {'descr': '|u1', 'fortran_order': False, 'shape': (n, num_features)}
    try:
        with open(path, 'wb') as file:
            np.lib.format.write_array_header_1_0(file, header)
            for images in _image_batches(prepared, split, feature):
                file.write(images.reshape(len(images), num_features).astype(np.uint8).tobytes())
                rows += len(images)
    except (tf.errors.OpError, ValueError) as error:
        raise _damaged(prepared, split, str(error).splitlines()[0]) from error
    if rows != n:
        raise _damaged(prepared, split, f'{rows} examples instead of {n}')


def _image_batches(prepared, split, feature):
    _, tfds = libraries()
    builder = tfds.builder_from_directory(os.fspath(prepared.directory))
    if prepared.file_format == 'array_record':
        examples = builder.as_data_source(split)
        for start in range(0, len(examples), ROWS_PER_READ):
            rows = range(start, min(start + ROWS_PER_READ, len(examples)))
            yield np.stack([example[feature] for example in examples.__getitems__(list(rows))])
    else:
        for batch in builder.as_dataset(split=split, batch_size=ROWS_PER_READ).as_numpy_iterator():
            yield batch[feature]


def _damaged(prepared, split, reason):
    return UserError(
        f'the {split} split in {prepared.directory} is damaged ({reason}): '
        f'delete that directory and prepare {prepared.name} again.'
    )
