"""Where every random number of a run comes from.

A key is a pure function of (seed, purpose, step, example): the example is its row in the split. So a resumed run,
another number of devices and another chunk length draw the same numbers.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
from jax.typing import ArrayLike
from ml_collections import ConfigDict, FrozenConfigDict

PURPOSES = {'init': 0, 'order': 1, 'noise': 2, 'eval_noise': 3, 'sample': 4}

SAMPLED_AT_ONCE = 10_000

# What one example's key is split into within a step: preprocessing noise and the model's own.
ENCODE, MODEL = 0, 1


@dataclasses.dataclass(frozen=True)
class Seeds:
    """The seeds of one run, by what they are for."""

    init: int
    order: int
    noise: int
    data: int  # toy data, and the noise of evaluation

    @classmethod
    def of(cls, config: ConfigDict | FrozenConfigDict) -> 'Seeds':
        """`config.seed` for all of them but those that have a field of their own."""
        return cls(**{field.name: seed_of(config, field.name) for field in dataclasses.fields(cls)})


def seed_of(config: Any, name: str) -> int:
    """The seed of one of the fields of `Seeds`, of a config that need have no fields for the others."""
    own = getattr(config, f'seed_{name}')
    return config.seed if own < 0 else own


def purpose_key(seed: ArrayLike, purpose: str) -> jax.Array:
    """The typed key of one purpose, from a seed (an integer or a () uint32 array)."""
    return jax.random.fold_in(jax.random.key(seed, impl='threefry2x32'), PURPOSES[purpose])


def sample_blocks(key: jax.Array, number: int) -> Iterator[tuple[slice, jax.Array]]:
    """Which of `number` samples are drawn at once, and their key."""
    for block, start in enumerate(range(0, number, SAMPLED_AT_ONCE)):
        # Counted from the top, away from what models fold in.
        own_key = key if block == 0 else jax.random.fold_in(key, 2**32 - block)
        yield slice(start, min(number, start + SAMPLED_AT_ONCE)), own_key


def example_keys(seed: ArrayLike, purpose: str, step: ArrayLike, indices: ArrayLike) -> jax.Array:
    """One typed key per example, (B,), for rows `indices` (B,) of a split at one step."""
    key = jax.random.fold_in(purpose_key(seed, purpose), step)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, indices)
