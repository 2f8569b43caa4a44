"""The number at the end, with everything needed to trust it."""

import datetime
import importlib.metadata
import math
import os
import subprocess

import jax
import numpy as np

# A median effective sample size below this is a loose bound: a few weights are the whole sum.
LOOSE_BELOW = 10
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def mean_and_error(values):
    """The mean of per-example values (N,) and two standard errors of it (population deviation), in float64.

    One example says nothing of its error, which is None.
    """
    values = np.asarray(values, np.float64)
    error = 2 * values.std() / math.sqrt(len(values))
    return float(values.mean()), float(error) if len(values) > 1 else None


def likelihood(values, units, num_features):
    """The likelihood of a split in the units that make sense for its data.

    values: {'log_likelihood': (N,), 'log_det': (N,)} in nats, and what `importance_sampling` reads. units: of the
    preprocessing. Data space is [0, 1] or the tabular data's own; bits per dimension are of the grey levels. Errors,
    '..._2se', are those of a mean over the examples, None for one example.
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
        error = None if data_error is None else data_error / (num_features * math.log(2))
        found['bits_per_dim_2se'] = error
    return found | importance_sampling(values)


def importance_sampling(values):
    """What tells how far to trust an importance-weighted bound, {} where there is none.

    values: 'effective_sample_size' (N,) of K samples and, for K >= 10, 'log_likelihood_at_tenth' (N,), nats from the
    first K // 10 of them. The bound is too low by what is still missing: an effective sample size near 1, or
    'nats_at_tenth_of_samples' well below 'nats', say that this is much. It has no error bar: the spread of the weights
    that were drawn does not show those that were not.
    """
    if 'effective_sample_size' not in values:
        return {}
    sizes = np.asarray(values['effective_sample_size'], np.float64)
    found = {
        'effective_sample_size': {
            'mean': float(sizes.mean()),
            'min': float(sizes.min()),
            'median': float(np.median(sizes)),
            'quantiles': {f'{q:.2f}': float(np.quantile(sizes, q)) for q in QUANTILES},
        }
    }
    if 'log_likelihood_at_tenth' in values:
        found['nats_at_tenth_of_samples'] = mean_and_error(values['log_likelihood_at_tenth'])[0]
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
    error = found['nats_2se']
    digits = decimals(error)
    details = [f'{found["nats_data_space"]:.{digits}f} nats in data space']
    if 'bits_per_dim' in found:
        details.append(f'{found["bits_per_dim"]:.3f} bits per dimension')
    details.append('exact' if found['exact'] else bound(found))
    if found['N'] == 1:
        details.append('1 example, which has no error')
    else:
        details.append(f'+- 2 standard errors, {found["N"]} examples')
    value = with_error(found['nats'], error)
    return f'{split.capitalize()} set evaluation: {value} nats ({"; ".join(details)})'


def bound(found):
    """A bound in words: of how many samples, and the median of their effective sizes; loose if that is small."""
    samples = found['num_samples']
    count = '1 sample' if samples == 1 else f'{samples:,} samples'
    if found.get('importance') == 'refined':
        count += ' of refined proposals'
    median = found.get('effective_sample_size', {}).get('median')
    if median is None or samples == 1:
        return f'a bound, {count}'
    if median < LOOSE_BELOW:
        return f'loose bound: median ESS {median:.1f} of {count}'
    return f'a bound, {count}, median ESS {median:.1f}'


def with_error(value, error):
    """A figure with two digits of its error, or alone where it has none."""
    digits = decimals(error)
    return f'{value:.{digits}f}' + ('' if error is None else f' +- {error:.{digits}f}')


def decimals(error):
    """Decimals that show two digits of an error, one at the least; one where there is no error (None)."""
    if error is None or not 0 < error < math.inf:
        return 1
    return max(1, 1 - math.floor(math.log10(error)))
