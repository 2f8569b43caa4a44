"""What a folder holds: a single run or a study."""

import contextlib

import orbax.checkpoint as ocp
from etils import epath

from train.errors import UserError
from train.runtime import buckets
from train.runtime import workdir as workdirs

COMMANDS = {'run': 'train.main', 'study': 'train.study'}
RESULTS = {'run': 'result.json', 'study': 'study.json'}  # what a finished one leaves
KINDS = {'run': 'a single run', 'study': 'a study of many seeds'}


def kind(workdir: epath.Path) -> str | None:
    """'run' or 'study', what a folder holds by its result or its newest checkpoint's record; None for neither."""
    for name, file in RESULTS.items():
        if (workdir / file).exists():
            return name
    for step in reversed(workdirs.steps(workdir)):
        with contextlib.suppress(
            Exception
        ):  # a damaged record is for `train.runtime.checkpoint` to report
            record = ocp.JsonCheckpointHandler().restore(
                workdir / 'checkpoints' / str(step) / 'record'
            )
            return 'study' if 'stoppings' in record else 'run'
    return None


def check(workdir: epath.Path, expected: str) -> None:
    """Refuse a folder out of reach, or one that holds a study where a run is expected, and the other way round."""
    buckets.check_reachable(workdir)
    there = kind(workdir)
    if there not in (None, expected):
        raise UserError(
            f'{workdir} must hold {KINDS[expected]}, found {KINDS[there]}; go on with {COMMANDS[there]}, or give '
            'another --workdir.'
        )
