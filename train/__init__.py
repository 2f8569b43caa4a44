"""The trainer: commands, loop, step, data. On import the process environment is prepared for JAX and TensorFlow."""

import os
from typing import TYPE_CHECKING

from train.runtime import environment

if TYPE_CHECKING:
    from train.contract import Model, Variables
    from train.data.preprocessing import Preprocessing

__version__ = '0.1.0'

environment.prepare()


def load(workdir: str | os.PathLike) -> 'tuple[Model, Variables, Preprocessing]':
    """`model, variables, preprocessing` of a trained run, see `train.pretrained.load`."""
    from train.pretrained import load as load_run

    return load_run(workdir)
