"""The number at the end, with everything needed to trust it."""

import dataclasses
import datetime
import importlib.metadata
import math
import os
import subprocess
import typing
from collections.abc import Mapping
from typing import Any, Self

import jax
import numpy as np

from train.data.preprocessing.units import Units

# A median effective sample size below this is a loose bound: a few weights are the whole sum.
LOOSE_BELOW = 10
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')

NUMBER = int | float | None  # null stands for what is not finite


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """What a file of results holds. A field that is None by default is left out of it where it does not apply."""

    def to_json(self) -> dict[str, Any]:
        """name -> JSON value."""
        fields = {field.name: field.default for field in dataclasses.fields(self)}
        values = {name: getattr(self, name) for name in fields}
        return {
            n: value for n, value in values.items() if value is not None or fields[n] is not None
        }

    @classmethod
    def required(cls) -> dict[str, Any]:
        """name -> type, as JSON has it, of the fields that every record has."""
        hints = typing.get_type_hints(cls)
        return {
            field.name: _json_type(hints[field.name])
            for field in dataclasses.fields(cls)
            if field.default is field.default_factory is dataclasses.MISSING
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`, of a record from before a field existed as well; other names are left out."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: stored[name] for name in names if name in stored})


def _json_type(hint: Any) -> Any:
    if hint in (float, float | None):
        return NUMBER
    origin = typing.get_origin(hint)
    return origin if origin in (list, dict) else hint


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(Record):
    """The likelihood of a split under a state of step `step`; see `likelihood` and `importance_sampling` for units."""

    split: str
    dataset: str
    seed: int
    step: int
    exact: bool
    nats: float
    nats_2se: float | None
    nats_data_space: float
    nats_data_space_2se: float | None
    N: int
    D: int
    bits_per_dim: float | None = None
    bits_per_dim_2se: float | None = None
    conditional_on: str | None = None  # 'label' or 'context', of p(x | c)
    marginal_over_classes: dict[str, Any] | None = None  # of 'label': p(x), see `likelihood`
    noise_draws: int | None = None  # of an exact likelihood
    num_samples: int | None = None  # of a bound, as what follows
    importance: str | None = None
    effective_sample_size: dict[str, Any] | None = None
    nats_at_tenth_of_samples: float | None = None
    entropy: float | None = None  # of data that have a known one, as what follows
    gap_to_entropy: float | None = None
    test_evaluations: int | None = None  # looks at the test split so far

    def to_json(self) -> dict[str, Any]:
        """See `Record`; the error of the bits stands beside them even where one example has none."""
        bits = {} if self.bits_per_dim is None else {'bits_per_dim_2se': self.bits_per_dim_2se}
        return super().to_json() | bits

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """See `Record`; null stands for what is not finite, but for the errors of one example."""
        numbers = ['nats', 'nats_data_space', 'bits_per_dim', 'gap_to_entropy']
        numbers += ['nats_2se'] * (stored['N'] > 1)
        absent = [name for name in numbers if stored.get(name, 0) is None]
        return super().from_json({**stored, **dict.fromkeys(absent, math.nan)})

    def line(self) -> str:
        """The line printed last, in the published form with units; the error has two digits, or one decimal."""
        digits = decimals(self.nats_2se)
        details = [f'{self.nats_data_space:.{digits}f} nats in data space']
        if self.bits_per_dim is not None:
            details.append(f'{self.bits_per_dim:.3f} bits per dimension')
        details.append('exact' if self.exact else bound(self.to_json()))
        if self.conditional_on is not None:
            details.append(f'p(x | {self.conditional_on})')
        if self.marginal_over_classes is not None:
            marginal = self.marginal_over_classes
            p_x = with_error(marginal['nats'], marginal['nats_2se'])
            details.append(f'marginal over classes, p(x): {p_x} nats')
        if self.N == 1:
            details.append('1 example, which has no error')
        else:
            details.append(f'+- 2 standard errors, {self.N} examples')
        value = with_error(self.nats, self.nats_2se)
        return f'{self.split.capitalize()} set evaluation: {value} nats ({"; ".join(details)})'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Provenance(Record):
    """Versions, devices and the commit that a figure came from."""

    versions: dict[str, str]
    device_kind: str
    device_count: int
    process_count: int
    cpu_count: int | None
    commit: str | None
    time: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result(Evaluation, Provenance):
    """A finished run: what `result.json` holds. best_step: of the checkpoint that was evaluated."""

    epochs: int
    best_epoch: int
    best_step: int
    rollbacks: list[dict[str, Any]]
    stopped_early: bool
    validation_loss: float
    validation_quantity: str
    config: dict[str, Any]


def mean_and_error(values: np.ndarray) -> tuple[float, float | None]:
    """The mean of per-example values (N,) and two standard errors of it (population deviation), in float64.

    One example says nothing of its error, which is None.
    """
    values = np.asarray(values, np.float64)
    error = 2 * values.std() / math.sqrt(len(values))
    return float(values.mean()), float(error) if len(values) > 1 else None


def likelihood(values: Mapping[str, np.ndarray], units: Units, num_features: int) -> dict[str, Any]:
    """The likelihood of a split in the units that make sense for its data.

    values: {'log_likelihood': (N,), 'log_det': (N,)} in nats, 'marginal_over_classes' (N,), log p(x), where the former
    is log p(x | class), and what `importance_sampling` reads. units: of the preprocessing. Data space is [0, 1] or
    the tabular data's own; bits per dimension are of the grey levels. Errors, '..._2se', are those of a mean over the
    examples, None for one example.
    """
    log_p, log_det = values['log_likelihood'], values['log_det']
    figures = in_units(log_p, log_det, units, num_features)
    figures |= {'N': len(log_p), 'D': num_features}
    if 'marginal_over_classes' in values:
        marginal = in_units(values['marginal_over_classes'], log_det, units, num_features)
        figures['marginal_over_classes'] = marginal
    return figures | importance_sampling(values)


def in_units(
    log_p: np.ndarray, log_det: np.ndarray, units: Units, num_features: int
) -> dict[str, Any]:
    """Means and errors of log-densities (N,) in model space, in data space and in bits per dimension."""
    model_space, model_error = mean_and_error(log_p)
    data_space, data_error = mean_and_error(log_p.astype(np.float64) + log_det.astype(np.float64))
    figures: dict[str, Any] = {
        'nats': model_space,
        'nats_2se': model_error,
        'nats_data_space': data_space,
        'nats_data_space_2se': data_error,
    }
    if units.levels:
        figures['bits_per_dim'] = units.bits_per_dim(data_space, num_features)
        error = None if data_error is None else data_error / (num_features * math.log(2))
        figures['bits_per_dim_2se'] = error
    return figures


def importance_sampling(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What tells how far to trust an importance-weighted bound, {} where there is none.

    values: 'effective_sample_size' (N,) of K samples and, for K >= 10, 'log_likelihood_at_tenth' (N,), nats from the
    first K // 10 of them. The bound is too low by what is still missing: an effective sample size near 1, or
    'nats_at_tenth_of_samples' well below 'nats', say that this is much. It has no error bar: the spread of the weights
    that were drawn does not show those that were not.
    """
    if 'effective_sample_size' not in values:
        return {}
    sizes = np.asarray(values['effective_sample_size'], np.float64)
    figures: dict[str, Any] = {
        'effective_sample_size': {
            'mean': float(sizes.mean()),
            'min': float(sizes.min()),
            'median': float(np.median(sizes)),
            'quantiles': {f'{q:.2f}': float(np.quantile(sizes, q)) for q in QUANTILES},
        }
    }
    if 'log_likelihood_at_tenth' in values:
        figures['nats_at_tenth_of_samples'] = mean_and_error(values['log_likelihood_at_tenth'])[0]
    return figures


def dataset_title(config: Mapping[str, Any]) -> str:
    """What a table calls the data of a config (a mapping): the density's own name for toy data."""
    return config['toy_name'] if config['dataset'] == 'toy' else config['dataset']


def provenance() -> dict[str, Any]:
    """The fields of `Provenance` here and now."""
    return {
        'versions': {name: importlib.metadata.version(name) for name in PACKAGES},
        'device_kind': jax.devices()[0].device_kind,
        'device_count': jax.device_count(),
        'process_count': jax.process_count(),
        'cpu_count': os.cpu_count(),
        'commit': _commit(),
        'time': now(),
    }


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')


def _commit() -> str | None:
    """The checked-out commit of the source, `-dirty` behind it where that was changed; None outside a git checkout."""
    here = os.path.abspath(__file__)

    def git(*arguments: str) -> str:
        command = ['git', *arguments]
        return subprocess.run(
            command, cwd=os.path.dirname(here), capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        git('ls-files', '--error-unmatch', here)  # or it is the repository around an installation
        changed = git('status', '--porcelain', '--untracked-files=no', ':/')
        return git('rev-parse', 'HEAD') + ('-dirty' if changed else '')
    except (OSError, subprocess.CalledProcessError):
        return None


def bound(figures: Mapping[str, Any]) -> str:
    """A bound in words: of how many samples, and the median of their effective sizes; loose if that is small."""
    samples = figures['num_samples']
    count = '1 sample' if samples == 1 else f'{samples:,} samples'
    if figures.get('importance') == 'refined':
        count += ' of refined proposals'
    median = figures.get('effective_sample_size', {}).get('median')
    if median is None or samples == 1:
        return f'a bound, {count}'
    if median < LOOSE_BELOW:
        return f'loose bound: median ESS {median:.1f} of {count}'
    return f'a bound, {count}, median ESS {median:.1f}'


def with_error(value: float, error: float | None) -> str:
    """A figure with two digits of its error, or alone where it has none."""
    digits = decimals(error)
    return f'{value:.{digits}f}' + ('' if error is None else f' +- {error:.{digits}f}')


def decimals(error: float | None) -> int:
    """Decimals that show two digits of an error, one at the least; one where there is no error (None)."""
    if error is None or not 0 < error < math.inf:
        return 1
    return max(1, 1 - math.floor(math.log10(error)))
