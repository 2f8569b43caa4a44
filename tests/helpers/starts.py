"""What there is to start: every config with every model it admits, and rows like its dataset's, without the dataset."""

import ast
import importlib
import json
import pathlib
import re

import numpy as np

from train import data
from train.config import defining
from train.data.storage.sources import ArraySource

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / 'configs'
# How long a run goes on, and what its rows are called, makes no other start.
OF_THE_RUN = {
    'dataset',
    'toy_name',
    'toy_size',
    'schedule_steps',
    'look_ahead',
    'eval_every',
    'eval_samples',
    'num_seeds',
    'max_rows',
}


def names():
    """The experiments, those of short names first: where several start alike, MNIST's stands for them."""
    found = (path.stem for path in CONFIGS.glob('*.py'))
    return sorted({*found} - {'__init__', 'default'}, key=lambda name: (len(name), name))


def with_data(config):
    """The config; one of a user's own file with a table that is at hand, where it names none."""
    if config.dataset == 'file' and not config.path:
        config.path = 'sklearn:breast_cancer'
    return config


def config_of(name, variant='', model=None):
    """A fresh config of a file of configs/, on one device."""
    config = importlib.import_module(f'configs.{name}').get_config(variant)
    config = with_data(config)
    config.num_devices = 1
    if model:
        config.model = model
    return config


def variants(name):
    """'' and the variants of a config but `smoke`, whose sizes are those of no experiment."""
    try:
        config_of(name, '?')
    except ValueError as error:
        known = ast.literal_eval(re.search(r'\[.*\]', str(error)).group())
        return ['', *(variant for variant in known if variant != 'smoke')]


def models(name):
    """What the docstring of a config offers for --config.model, its own model where it offers nothing."""
    text = importlib.import_module(f'configs.{name}').__doc__
    offered = re.search(r'`--config\.model=` one of ([\w,\s]+)', text)
    return re.findall(r'\w+', offered.group(1)) if offered else [config_of(name).model]


def cases():
    """(name, variant, model) of every start there is, each once."""
    found = {}
    for name in names():
        for variant in variants(name):
            for model in models(name):
                config = config_of(name, variant, model)
                fields = defining(config)
                kept = {field: fields[field] for field in sorted(fields.keys() - OF_THE_RUN)}
                known = data.describe(config)
                key = json.dumps([known.shape, known.levels, kept])
                found.setdefault(key, (name, variant, model))
    return list(found.values())


def rows_like(config, number):
    """A source of `number` rows of the config's dataset: its own where they need no file, else random ones alike."""
    description = data.describe(config)
    if data.locate(config) == '':
        source = data.load(config).source('train')
        return ArraySource(source.gather(np.arange(min(number, len(source)))))
    generator = np.random.default_rng(0)
    if description.levels is None:
        rows = generator.normal(size=(number, description.num_features))
        mixed = np.tanh(rows) @ generator.normal(size=(description.num_features,) * 2)
        return ArraySource((mixed / mixed.std(axis=0)).astype(np.float32))
    height, width, channels = description.shape
    # Blots of the lowest and the highest grey level with soft edges, in a frame that is always black.
    coarse = generator.normal(size=(number, height // 4, width // 4, channels))
    grey = coarse.repeat(4, axis=1).repeat(4, axis=2) + generator.normal(
        0, 0.2, (number, height, width, channels)
    )
    images = np.clip(np.round(128 + 256 * grey), 0, description.levels - 1).astype(np.uint8)
    images[:, [0, -1]] = 0
    images[:, :, [0, -1]] = 0
    rows = images.reshape(number, -1)
    if not description.labelled:
        return ArraySource(rows)
    return ArraySource(
        np.column_stack([rows, np.arange(number) % description.context]).astype(np.uint8)
    )
