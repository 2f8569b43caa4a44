"""The published PyTorch training of NICE, written anew from its description, as a baseline: a child of `nice`.

Four additive couplings on the even and odd columns of x (B, D / 2, 2), each by five layers of 1,000 ReLU units with
PyTorch's default start, a diagonal scaling, a logistic prior; Adam 1e-3, (0.9, 0.999), eps 1e-4. Pixels are
dequantised and centred anew for every batch.

Dinh, Krueger, Bengio, 2014, arXiv:1410.8516; the settings are those of the public code fmu2/NICE.
"""

import argparse
import itertools

import torch
from torch import nn
from torch.nn import functional

from benchmarks.tools import children

D, COUPLINGS, HIDDEN_LAYERS, HIDDEN_UNITS = 784, 4, 5, 1000


class Coupling(nn.Module):
    """One part of the columns is moved by a network of the other."""

    def __init__(self, moves_even):
        super().__init__()
        self.moves_even = moves_even
        widths = [D // 2] + [HIDDEN_UNITS] * HIDDEN_LAYERS
        layers = []
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        self.m = nn.Sequential(*layers, nn.Linear(HIDDEN_UNITS, D // 2))

    def forward(self, x):
        pairs = x.reshape(-1, D // 2, 2)
        even, odd = pairs[:, :, 0], pairs[:, :, 1]
        if self.moves_even:
            even = even + self.m(odd)
        else:
            odd = odd + self.m(even)
        return torch.stack((even, odd), dim=2).reshape(-1, D)


class NICE(nn.Module):
    """Couplings that move the even and the odd columns by turns, then the scaling."""

    def __init__(self):
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(index % 2 == 0) for index in range(COUPLINGS))
        self.s = nn.Parameter(torch.zeros(1, D))

    def forward(self, x):
        """log p(x), (B,), for x (B, D)."""
        for coupling in self.couplings:
            x = coupling(x)
        z = x * torch.exp(self.s)
        log_prior = -(functional.softplus(z) + functional.softplus(-z)).sum(1)
        return log_prior + self.s.sum()


def main():
    """Make so many updates whenever the parent asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--steps', type=int, required=True)
    parser.add_argument('--batch', type=int, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    images = torch.rand(options.steps * options.batch, D)
    mean = images.mean(0, keepdim=True)
    model = NICE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.999), eps=1e-4)

    def updates():
        running_loss = 0.0
        for x in images.split(options.batch):
            x = (x * 255 + torch.rand_like(x)) / 256 - mean
            optimizer.zero_grad()
            loss = -model(x).mean()
            running_loss += loss.item()
            loss.backward()
            optimizer.step()

    children.serve(updates)


if __name__ == '__main__':
    main()
