"""tensorflow-datasets and TensorFlow, imported when a dataset has to be read or prepared, and not before.

TensorFlow stays off the accelerators, which belong to JAX.
"""

import contextlib
import functools
import io
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from absl import logging

from train.data.storage.prepared_directory import Prepared
from train.data.storage.sources import RECORD_ERRORS
from train.errors import UserError

ROWS_PER_READ = 1000
Batch = dict[str, np.ndarray]  # features of some examples, (n, ...)


@functools.cache
def datasets_library() -> Any:
    """tensorflow_datasets, which by itself imports no TensorFlow."""
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise _not_installed('tensorflow-datasets', error) from error
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    return tfds


@functools.cache
def libraries() -> tuple[Any, Any]:
    """(tensorflow, tensorflow_datasets), quiet and on the CPU."""
    tfds = datasets_library()
    try:
        import tensorflow as tf
    except ImportError as error:
        raise _not_installed('tensorflow', error) from error
    for kind in ('GPU', 'TPU'):
        try:
            tf.config.set_visible_devices([], kind)
        except RuntimeError as error:  # TensorFlow was in use before us: its owner has decided
            logging.warning('TensorFlow keeps its %s devices: %s', kind, error)
    return tf, tfds


def _not_installed(package: str, error: ImportError) -> UserError:
    return UserError(
        f'reading a dataset for the first time needs {package} ({error}): install it, or copy a '
        'cache that `python -m train.prepare` made elsewhere and set cache_dir to it.'
    )


def registered_files(name: str) -> dict[str, tuple[str, int, str]]:
    """The original files that TFDS has registered: {file name: (url, bytes, sha256)}."""
    _, tfds = libraries()
    infos = tfds.builder_cls(name).url_infos
    return {info.filename: (url, int(info.size), info.checksum) for url, info in infos.items()}


def prepare(
    name: str, version: str, root: pathlib.Path, manual_dir: pathlib.Path | None = None
) -> None:
    """Let TFDS prepare a dataset under `root`, from `manual_dir` or by its own download."""
    _, tfds = libraries()
    builder = tfds.builder(f'{name}:{version}', data_dir=os.fspath(root))
    with contextlib.redirect_stdout(io.StringIO()):  # a headline of unknown sizes
        builder.download_and_prepare(
            download_dir=os.fspath(root / 'downloads'),
            download_config=tfds.download.DownloadConfig(manual_dir=manual_dir),
            file_format='tfrecord',
        )


def preparation_errors() -> tuple[type[Exception], ...]:
    """What TFDS raises where files could not be had, or were not the registered ones."""
    import requests
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
    from tensorflow_datasets.core.download.util import DownloadError

    return requests.RequestException, NonMatchingChecksumError, DownloadError


def example_blocks(
    prepared: Prepared, split: str, features: Sequence[str], order: str | None = None
) -> Iterator[Batch]:
    """Yield the named features of a split, images and classes, as uint8 (n, ...), as read or sorted by `order`.

    Raises `UserError` where a file is damaged. A sorted split is read into memory whole.
    """
    tf, _ = libraries()
    rows, n = 0, prepared.splits[split]
    try:
        batches = _batches(prepared, split, features if order is None else (*features, order))
        for batch in batches if order is None else _sorted(batches, order):
            rows += len(batch[features[0]])
            yield {name: batch[name].astype(np.uint8) for name in features}
    except (tf.errors.OpError, *RECORD_ERRORS) as error:
        raise _damaged(prepared, split, str(error).splitlines()[0]) from error
    if rows != n:
        raise _damaged(prepared, split, f'{rows} examples instead of {n}')


def _sorted(batches: Iterable[Batch], order: str) -> Iterator[Batch]:
    parts = list(batches)
    whole = {name: np.concatenate([batch[name] for batch in parts]) for name in parts[0]}
    places = np.argsort(whole[order], kind='stable')
    for start in range(0, len(places), ROWS_PER_READ):
        some = places[start : start + ROWS_PER_READ]
        yield {name: values[some] for name, values in whole.items()}


def _batches(prepared: Prepared, split: str, features: Sequence[str]) -> Iterator[Batch]:
    """Yield {feature: array (n, ...)} over a split in the order in which TFDS reads it."""
    if prepared.file_format == 'array_record':
        examples = _data_source(prepared, split)
        for start in range(0, len(examples), ROWS_PER_READ):
            rows = range(start, min(start + ROWS_PER_READ, len(examples)))
            items = examples.__getitems__(list(rows))
            yield {name: np.stack([example[name] for example in items]) for name in features}
    else:
        _, tfds = libraries()
        builder = tfds.builder_from_directory(os.fspath(prepared.directory))
        dataset = builder.as_dataset(split=split, batch_size=ROWS_PER_READ)
        for batch in dataset.as_numpy_iterator():
            yield {name: batch[name] for name in features}


def table_blocks(prepared: Prepared, split: str) -> Iterator[np.ndarray]:
    """Yield the blocks of rows, float32 (n, D), of a table that a builder of ours prepared."""
    try:
        for example in _data_source(prepared, split):
            yield example['rows']
    except RECORD_ERRORS as error:
        raise _damaged(prepared, split, str(error).splitlines()[0]) from error


def _data_source(prepared: Prepared, split: str) -> Any:
    builder = datasets_library().builder_from_directory(os.fspath(prepared.directory))
    return builder.as_data_source(split)


def _damaged(prepared: Prepared, split: str, reason: str) -> UserError:
    return UserError(
        f'the {split} split in {prepared.directory} is damaged ({reason}): '
        f'delete that directory and prepare {prepared.name} again.'
    )
