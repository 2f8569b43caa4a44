"""Flows of the library nflows, their weights and their log-densities, as a file.

    python -m benchmarks.baselines.nflows_flows FILE.npz --kind=KIND --features=D --hidden=H

Durkan, Bekasov, Murray, Papamakarios, https://github.com/bayesiains/nflows. Three layers of the kind with the order
reversed in between, weights drawn at random, in float64.
"""

import argparse

import numpy as np
import torch
from nflows.distributions import StandardNormal
from nflows.flows import Flow
from nflows.nn.nets import ResidualNet
from nflows.transforms import (
    CompositeTransform,
    MaskedAffineAutoregressiveTransform,
    MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
    PiecewiseRationalQuadraticCouplingTransform,
    ReversePermutation,
)

LAYERS, BLOCKS, BINS, BOUND = 3, 2, 8, 3.0
ROWS = 200


def coupling(features, hidden):
    """The odd components of one coupling, counted from zero, are transformed."""
    return PiecewiseRationalQuadraticCouplingTransform(
        mask=[index % 2 for index in range(features)],
        transform_net_create_fn=lambda inputs, outputs: ResidualNet(
            inputs, outputs, hidden_features=hidden, num_blocks=BLOCKS
        ),
        num_bins=BINS,
        tails='linear',
        tail_bound=BOUND,
        apply_unconditional_transform=True,
    )


def autoregressive(features, hidden):
    return MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
        features, hidden, num_blocks=BLOCKS, num_bins=BINS, tails='linear', tail_bound=BOUND
    )


def affine(features, hidden):
    return MaskedAffineAutoregressiveTransform(features, hidden, num_blocks=BLOCKS)


KINDS = {'coupling': coupling, 'autoregressive': autoregressive, 'affine': affine}


def main():
    """Write the weights, the rows and their log-densities."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('file')
    parser.add_argument('--kind', choices=KINDS)
    parser.add_argument('--features', type=int)
    parser.add_argument('--hidden', type=int)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    layers = []
    for index in range(LAYERS):
        if index:
            layers.append(ReversePermutation(options.features))
        layers.append(KINDS[options.kind](options.features, options.hidden))
    flow = Flow(CompositeTransform(layers), StandardNormal([options.features]))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    x = 1.5 * torch.randn(ROWS, options.features)
    with torch.no_grad():
        log_prob = flow.log_prob(x)
    weights = {name: value.numpy() for name, value in flow.state_dict().items()}
    np.savez(options.file, x=x.numpy(), log_prob=log_prob.numpy(), **weights)


if __name__ == '__main__':
    main()
