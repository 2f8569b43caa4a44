"""Flows of zuko (F. Rozet, https://github.com/probabilists/zuko), PyTorch.

Its couplings are autoregressive layers of two passes, whose first half has splines of its own.
"""

import zuko

from benchmarks.field import task as tasks
from benchmarks.field import torch_side


def flow_of(task):
    """The flow."""
    sizes = {'transforms': tasks.LAYERS, 'hidden_features': (task.hidden, task.hidden)}
    if task.flow == 'maf':
        return zuko.flows.MAF(task.features, **sizes)
    return zuko.flows.NSF(task.features, bins=tasks.BINS, passes=2, **sizes)


def main():
    """Serve the turns."""
    task = tasks.from_arguments()
    flow = flow_of(task)
    torch_side.serve(
        task, flow.parameters(), lambda x: flow().log_prob(x), lambda n: flow().sample((n,))
    )


if __name__ == '__main__':
    main()
