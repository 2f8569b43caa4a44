"""The number at the end, with everything needed to trust it."""

import datetime
import importlib.metadata
import math
import os
import subprocess

import jax
import numpy as np

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def mean_and_error(values):
    """The mean of per-example values (N,) and two standard errors of it (population deviation), in float64."""
    values = np.asarray(values, np.float64)
    return float(values.mean()), float(2 * values.std() / math.sqrt(len(values)))


def likelihood(values, units, num_features):
    """The likelihood of a split in the units that make sense for its data.

    values: {'log_likelihood': (N,), 'log_det': (N,)} in nats. units: of the preprocessing. Data space is [0, 1] or the
    tabular data's own; bits per dimension are of the grey levels.
    """
    model_space, model_error = mean_and_error(values['log_likelihood'])
    data_space, data_error = mean_and_error(
        values['log_likelihood'].astype(np.float64) + values['log_det'].astype(np.float64)
    )
    found = {
        'nats': model_space,
        'nats_2se': model_error,
        'nats_data_space': data_space,
        'nats_data_space_2se': data_error,
        'N': len(values['log_likelihood']),
        'D': num_features,
    }
    if units.levels:
        found['bits_per_dim'] = units.bits_per_dim(data_space, num_features)
        found['bits_per_dim_2se'] = data_error / (num_features * math.log(2))
    if 'effective_sample_size' in values:
        found['effective_sample_size'] = {
            'mean': float(values['effective_sample_size'].mean()),
            'min': float(values['effective_sample_size'].min()),
        }
        errors = values['standard_error'].astype(np.float64)
        found['importance_sampling_2se'] = float(2 * np.sqrt((errors**2).mean() / len(errors)))
    return found


def dataset_title(config):
    """What a table calls the data of a config (a mapping): the density's own name for toy data."""
    return config['toy_name'] if config['dataset'] == 'toy' else config['dataset']


def provenance():
    """Versions, devices and the commit that a figure came from."""
    return {
        'versions': {name: importlib.metadata.version(name) for name in PACKAGES},
        'device_kind': jax.devices()[0].device_kind,
        'device_count': jax.device_count(),
        'process_count': jax.process_count(),
        'cpu_count': os.cpu_count(),
        'commit': _commit(),
        'time': now(),
    }


def now():
    """The time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')


def _commit():
    """The checked-out commit of the source, or None where it is not a git checkout."""
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        found = subprocess.run(
            ['git', 'rev-parse', 'HEAD'], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def line(split, found):
    """The line printed last, in the published form with units; the error has two digits, or one decimal."""
    digits = decimals(found['nats_2se'])
    text = (
        f'{split.capitalize()} set evaluation: '
        f'{found["nats"]:.{digits}f} +- {found["nats_2se"]:.{digits}f} nats'
    )
    details = [f'{found["nats_data_space"]:.{digits}f} nats in data space']
    if 'bits_per_dim' in found:
        details.append(f'{found["bits_per_dim"]:.3f} bits per dimension')
    details.append('exact' if found['exact'] else f'a bound, {found["num_samples"]} samples')
    return f'{text} ({"; ".join(details)}; +- 2 standard errors, {found["N"]} examples)'


def decimals(error):
    """Decimals that show two digits of an error, one at the least."""
    if not 0 < error < math.inf:
        return 1
    return max(1, 1 - math.floor(math.log10(error)))
