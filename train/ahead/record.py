"""The record of a compilation ahead of time: what was compiled, for what and by what, and what each program costs."""

import importlib.metadata
from typing import Any

from train.ahead import measures, programs
from train.ahead.topologies import Topology
from train.training.experiment import Experiment
from train.training.result import provenance


def record(
    experiment: Experiment, topology: Topology, command: str, *, validation: bool = True
) -> dict[str, Any]:
    """Compile the programs of an experiment, one after the other.

    command: what was asked for. validation: whether its call is compiled too.
    """
    config, D = experiment.config, experiment.description.num_features
    compiled = {
        program.name: measures.measure(program, topology, D)
        for program in programs.programs(experiment, validation=validation)
    }
    found = {
        'command': command,
        'model': config.model,
        'dataset': experiment.description.name,
        'D': D,
        'num_seeds': config.num_seeds,
        'batch_size': config.batch_size,
        'matmul_precision': config.matmul_precision,
        'optimizer': config.optimizer,
        'shard_optimizer': config.shard_optimizer,
        'topology': topology.name,
        'programs': compiled,
        **provenance(),
        'device_kind': topology.devices[0].device_kind,
        'device_count': len(topology.devices),
    }
    if topology.chip is not None:
        found['versions'] |= {'libtpu': importlib.metadata.version('libtpu')}
    return found
