"""Where every random number of a run comes from.

A key is a pure function of (seed, purpose, step, example): the example is its row in the split. So a resumed run,
another number of devices and another chunk length draw the same numbers.
"""

import dataclasses

import jax
from jax.typing import ArrayLike
from ml_collections import ConfigDict, FrozenConfigDict

PURPOSES = {'init': 0, 'order': 1, 'noise': 2, 'eval_noise': 3, 'sample': 4}

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
        names = [field.name for field in dataclasses.fields(cls)]
        given = {name: getattr(config, f'seed_{name}') for name in names}
        return cls(**{name: config.seed if seed < 0 else seed for name, seed in given.items()})


def purpose_key(seed: ArrayLike, purpose: str) -> jax.Array:
    """The typed key of one purpose, from a seed (an integer or a () uint32 array)."""
    return jax.random.fold_in(jax.random.key(seed, impl='threefry2x32'), PURPOSES[purpose])


def example_keys(seed: ArrayLike, purpose: str, step: ArrayLike, indices: ArrayLike) -> jax.Array:
    """One typed key per example, (B,), for rows `indices` (B,) of a split at one step."""
    key = jax.random.fold_in(purpose_key(seed, purpose), step)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, indices)
