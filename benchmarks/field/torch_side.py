"""The turns of a flow in PyTorch, whichever library it comes from."""

import torch

from benchmarks.field import task as tasks
from benchmarks.tools import children


def serve(task, parameters, log_prob, sample):
    """Serve the turns; log_prob: of rows (B, D), nats; sample: of a number of rows."""
    if task.work == 'sample':

        def draw():
            with torch.no_grad():
                sample(task.rows)

        children.serve(draw)
        return
    optimizer = torch.optim.Adam(parameters, lr=tasks.RATE)
    batches = [torch.from_numpy(x) for x in task.batches()]

    def turn():
        for x in batches:
            optimizer.zero_grad()
            (-log_prob(x).mean()).backward()
            optimizer.step()

    children.serve(turn)
