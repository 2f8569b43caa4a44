"""Flows of nflows (Durkan, Bekasov, Murray, Papamakarios, https://github.com/bayesiains/nflows), PyTorch."""

import torch
from nflows import transforms
from nflows.distributions import StandardNormal
from nflows.flows import Flow
from nflows.nn.nets import MLP

from benchmarks.field import task as tasks
from benchmarks.field import torch_side


def layer_of(task, index):
    """One layer."""
    if task.flow == 'maf':
        return transforms.MaskedAffineAutoregressiveTransform(
            task.features, task.hidden, num_blocks=1, use_residual_blocks=False
        )

    def network(inputs, outputs):
        hidden = [task.hidden, task.hidden]
        return MLP((inputs,), (outputs,), hidden, activation=torch.nn.functional.relu)

    return transforms.PiecewiseRationalQuadraticCouplingTransform(
        mask=[(d + index) % 2 for d in range(task.features)],
        transform_net_create_fn=lambda inputs, outputs: Network(network(inputs, outputs)),
        num_bins=tasks.BINS,
        tails='linear',
        tail_bound=tasks.BOUND,
    )


class Network(torch.nn.Module):
    """A conditioner is called with a context, which an MLP does not take."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x, context=None):
        """Outputs from inputs; there is no context."""
        del context
        return self.network(x)


def main():
    """Serve the turns."""
    task = tasks.from_arguments()
    layers = []
    for index in range(tasks.LAYERS):
        if task.flow == 'maf' and index:
            layers.append(transforms.ReversePermutation(task.features))
        layers.append(layer_of(task, index))
    flow = Flow(transforms.CompositeTransform(layers), StandardNormal([task.features]))
    torch_side.serve(task, flow.parameters(), flow.log_prob, flow.sample)


if __name__ == '__main__':
    main()
