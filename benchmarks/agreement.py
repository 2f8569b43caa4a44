"""Whether flows here have the log-densities of the same flows of another library, given the same weights.

    python -m benchmarks.agreement [--torch_python=PYTHON]

RQ-NSF (C), RQ-NSF (AR) and an affine MAF of nflows, three layers of residual networks each, against ours in float64.
nflows and PyTorch come with the extra `benchmarks`, or are those of another Python.
"""

import argparse
import dataclasses
import pathlib
import subprocess
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

import flows
from benchmarks.tools import figures, timing

NAME = 'agreement'
LAYERS, BLOCKS, BINS, BOUND = 3, 2, 8, 3.0
SIZES = {
    6: 20,
    63: 124,
}  # D -> units; a multiple of D - 1, so that as many have each degree there as here
AT_MOST = 1e-5


@dataclasses.dataclass(frozen=True)
class SoftplusAffine:
    """z = (softplus(a) + 1e-3) x + t, theta = (a, t), as nflows has it."""

    num_parameters = 2

    def forward_and_log_slope(self, x, theta):
        """z, and log dz/dx."""
        slope = jax.nn.softplus(theta[0]) + 1e-3
        return slope * x + theta[1], jnp.log(slope)


def masked(weights, prefix, hidden, log_scales):
    """Our parameters of a MADE from those of nflows, whose units are not sorted by degree.

    log_scales: of the outputs of a component and what is added to them, (P,) each.
    """
    features = weights[f'{prefix}.initial_layer.weight'].shape[1]
    order = np.argsort(np.arange(hidden) % max(1, features - 1), kind='stable')
    scale, shift = (np.tile(part, features) for part in log_scales)
    found = {
        'first_kernel': weights[f'{prefix}.initial_layer.weight'][order],
        'first_bias': weights[f'{prefix}.initial_layer.bias'][order],
        'output_kernel': weights[f'{prefix}.final_layer.weight'][:, order] * scale[:, None],
        'output_bias': weights[f'{prefix}.final_layer.bias'] * scale + shift,
    }
    for index in range(2 * BLOCKS):
        name = f'{prefix}.blocks.{index // 2}.linear_layers.{index % 2}'
        found[f'hidden_{index}_kernel'] = weights[f'{name}.weight'][np.ix_(order, order)]
        found[f'hidden_{index}_bias'] = weights[f'{name}.bias'][order]
    return found


def of_spline(of_sides):
    """What scales and shifts nflows' outputs to ours: slopes have another zero; of_sides scales widths and heights."""
    scale = np.ones(3 * BINS - 1)
    scale[: 2 * BINS] = of_sides
    shift = np.zeros(3 * BINS - 1)
    shift[2 * BINS :] = -np.log(np.expm1(1 - 1e-3))
    return scale, shift


def coupling(weights, prefix, hidden):
    """Our parameters of a coupling."""
    net, (scale, shift) = f'{prefix}.transform_net', of_spline(hidden**-0.5)

    def dense(name):
        return {'kernel': weights[f'{name}.weight'].T, 'bias': weights[f'{name}.bias']}

    network = {'Dense_0': dense(f'{net}.initial_layer')}
    for index in range(2 * BLOCKS):
        name = f'{net}.blocks.{index // 2}.linear_layers.{index % 2}'
        network[f'Dense_{index + 1}'] = dense(name)
    output = dense(f'{net}.final_layer')  # the parameters of one component after those of another
    kernel = output['kernel'].reshape(hidden, -1, len(scale)) * scale
    bias = output['bias'].reshape(-1, len(scale)) * scale + shift
    flat = {
        'kernel': np.moveaxis(kernel, 2, 1).reshape(hidden, -1),
        'bias': bias.T.reshape(-1),
    }
    parts = ('widths', 'heights', 'derivatives')
    passed = [weights[f'{prefix}.unconditional_transform.unnormalized_{part}'] for part in parts]
    passed[2] = passed[2] + shift[-1]
    return {'conditioner': network, 'output': flat, 'passed': np.concatenate(passed, 1).T}


def ours(kind, D, hidden, weights):
    """(flow, its variables) of nflows' weights."""
    spline = flows.RationalQuadraticSpline(BINS, BOUND)
    layers, params = [], {}
    for index in range(LAYERS):
        prefix, name = f'_transform._transforms.{2 * index}', f'layers_{2 * index}'
        if index:
            layers.append(flows.Reverse())
        if kind == 'coupling':
            network, mask = flows.ResidualMLP(hidden, BLOCKS), flows.AlternatingMask(0)
            layers.append(flows.Coupling(network, spline, mask, passed=spline))
            params[name] = coupling(weights, prefix, hidden)
            continue
        network = flows.MADE(hidden, BLOCKS, residual=True)
        affine = kind == 'affine'
        layers.append(flows.Autoregressive(network, SoftplusAffine() if affine else spline))
        scales = (np.ones(2), np.zeros(2)) if affine else of_spline(1.0)
        net = f'{prefix}.autoregressive_net'
        params[name] = {'conditioner': masked(weights, net, hidden, scales)}
    return flows.ChainFlow(num_features=D, layers=tuple(layers)), {'params': {'chain': params}}


def difference(python, kind, D, hidden, folder):
    """The largest |difference| of log-densities, nats, over rows."""
    file = pathlib.Path(folder) / f'{kind}_{D}.npz'
    child = [python, '-m', 'benchmarks.baselines.nflows_flows', str(file)]
    sizes = [f'--kind={kind}', f'--features={D}', f'--hidden={hidden}']
    subprocess.run([*child, *sizes], check=True)
    weights = dict(np.load(file))
    flow, variables = ours(kind, D, hidden, weights)
    found = flow.apply(variables, jnp.asarray(weights['x']), method='log_likelihood')
    return float(np.abs(found - weights['log_prob']).max())


def main():
    """Compare, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--torch_python', default=sys.executable)
    options = parser.parse_args()
    jax.config.update('jax_enable_x64', True)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ('coupling', 'autoregressive', 'affine'):
            for D, hidden in SIZES.items():
                name = f'{kind}, D = {D}'
                found[name] = difference(options.torch_python, kind, D, hidden, folder)
                print(name, found[name], flush=True)
    worst = max(found, key=found.get)
    required = timing.requirement(f'largest difference, {worst}', found[worst], at_most=AT_MOST)
    timing.record(NAME, f'python -m benchmarks.{NAME}', {'nats': found, 'required': [required]})
    rows = [[name, figures.number(value)] for name, value in found.items()]
    figures.write_tables(NAME, figures.table(['flow', 'largest difference, nats'], rows))


if __name__ == '__main__':
    main()
