"""Rows of the exact flows that the zoo is about, and of the flows of images."""

from typing import TYPE_CHECKING, Any

from train.models.row import LAYERS, UNITS, Model, check_binary
from train.settings import rules
from train.settings.rules import Field

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from train import contract
    from train.data.base import Description


def _mlp_flow(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import MLPFlow, RelativeAffine, choose
    from train.training.components import ACTIVATIONS, BASE_DENSITIES

    own = config.mlp_flow
    if own.start == 'whiten' and config.init_examples < 2:
        raise ValueError(
            'config.mlp_flow.start=whiten is made from training rows and needs config.init_examples of at least 2; '
            f'found {config.init_examples}.'
        )
    return MLPFlow(
        num_layers=config.num_layers,
        activation=choose('nonlinearity', config.nonlinearity, ACTIVATIONS)(config),
        ends=own.ends,
        learnt_base=own.learnt_base,
        layer=RelativeAffine(
            use_bias=config.bias,
            gradient=own.gradient,
            refresh_every=own.refresh_every,
            inversion=own.inversion,
            start=own.start,
        ),
        base=choose('prior', config.prior, BASE_DENSITIES),
    )


def _nice(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import MLP, NICE, choose
    from train.training.components import BASE_DENSITIES, PARTITIONS

    sizes = config.nice
    masks, mixing = choose('partition', sizes.partition, PARTITIONS)(sizes.num_couplings)
    return NICE(
        masks=masks,
        mixing=mixing,
        conditioner=MLP(sizes.hidden_layers, sizes.hidden_units),
        base=choose('prior', config.prior, BASE_DENSITIES),
    )


def _flow(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    of_shape = _flow_of_vectors if len(description.shape) == 1 else _flow_of_images
    return of_shape(config, description)


def _flow_of_vectors(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import BoundedAffine, CouplingFlow, MLPConditioner, choose
    from train.training.components import BASE_DENSITIES

    sizes = config.flow
    if sizes.num_couplings < 1:
        raise ValueError(
            f'config.model=flow needs config.flow.num_couplings of at least 1; found {sizes.num_couplings}.'
        )
    return CouplingFlow(
        num_features=description.num_features,
        num_couplings=sizes.num_couplings,
        conditioner=MLPConditioner(sizes.hidden, gain=sizes.gain),
        transformer=BoundedAffine(sizes.log_scale_bound),
        base=choose('prior', config.prior, BASE_DENSITIES),
    )


def _flow_of_images(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import BoundedAffine, DenseNet, ImageFlow, MultiScaleFlow

    sizes = config.flow
    check_binary(config)
    if config.prior != 'gaussian':
        raise ValueError(
            f'config.model=flow has config.prior=gaussian on images; found {config.prior}.'
        )
    if any(side % 2 ** (sizes.scales - 1) for side in description.shape[:2]):
        raise ValueError(
            'config.flow.scales must halve the sides of the images scales - 1 times without a rest; found '
            f'{sizes.scales} for {description.shape[0]} x {description.shape[1]}.'
        )
    flow = MultiScaleFlow(
        scales=sizes.scales,
        couplings=sizes.couplings_per_scale,
        conditioner=DenseNet(sizes.width, sizes.depth, sizes.growth),
        transformer=BoundedAffine(sizes.log_scale_bound),
    )
    height, width, channels = description.shape
    return ImageFlow(shape=(height, width, channels), flow=flow)


def _glow(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import (
        BoundedAffine,
        ConvNet,
        GlowFlow,
        ImageFlow,
        RealImageFlow,
        SplineActivation,
        UniformAugmentation,
        UniformDequantisation,
        VariationalDequantisation,
    )

    _check_glow(config, description)
    sizes, levels = config.glow, description.levels
    height, width, channels = description.shape
    parts: dict[str, Any] = {
        'conditioner': ConvNet(sizes.width),
        'transformer': BoundedAffine(sizes.log_scale_bound),
    }
    shape, flow = (height, width, channels), GlowFlow(sizes.scales, sizes.steps, **parts)
    if config.preprocessing != 'levels':
        first = SplineActivation(sizes.num_bins, sizes.reach) if sizes.splines else None
        return RealImageFlow(shape=shape, flow=flow, first=first)
    assert levels is not None  # of pixels, as preprocessing=levels asks for
    variational = sizes.dequantisation == 'variational'
    return ImageFlow(
        shape=shape,
        flow=flow,
        dequantisation=VariationalDequantisation(levels, **parts)
        if variational
        else UniformDequantisation(levels),
        augmentation=UniformAugmentation(channels=0),
    )


def _check_glow(config: 'ConfigDict', description: 'Description') -> None:
    """Raise ValueError for data that Glow does not take, and for fields that mean nothing with them."""
    sizes, preprocessing = config.glow, config.preprocessing
    if len(description.shape) != 3:
        raise ValueError(
            f'config.model=glow has images; found {description.name} of {description.num_features} numbers a row.'
        )
    if preprocessing == 'binarise':
        raise ValueError(
            'config.model=glow has grey levels or real numbers, as config.preprocessing=levels or logit gives; found '
            'binarise.'
        )
    height, width, _ = description.shape
    if any(side % 2**sizes.scales for side in (height, width)):
        raise ValueError(
            f'config.glow.scales must halve the sides of the images that often without a rest; found {sizes.scales} '
            f'for {height} x {width}.'
        )
    if preprocessing != 'levels' and sizes.dequantisation != 'uniform':
        raise ValueError(
            'config.glow.dequantisation is part of the model for config.preprocessing=levels, and uniform noise of '
            f'the data for others; found {sizes.dequantisation} and {preprocessing}.'
        )
    if preprocessing == 'levels' and sizes.splines:
        raise ValueError(
            'config.glow.splines are of real numbers, as config.preprocessing=logit makes them; found '
            'config.preprocessing=levels.'
        )


_MLP_FLOW = (
    Field(
        'gradient',
        'relative',
        rules.one_of('relative', 'equivariant', 'ordinary', 'amortised'),
        'relative: O(D^2); equivariant: the same, for optimizer=equivariant; ordinary: autodiff through slogdet, '
        'O(D^3); amortised: ordinary with kept inverses',
    ),
    Field(
        'refresh_every', 10, rules.whole(1), 'most steps between two inversions, gradient=amortised'
    ),
    Field(
        'inversion',
        'lu',
        rules.one_of('lu', 'newton_schulz'),
        'for gradient=amortised; newton_schulz: matrix products alone',
    ),
    Field(
        'start',
        'orthogonal',
        rules.one_of('orthogonal', 'whiten'),
        'first weights; whiten: ZCA of what reaches a layer',
    ),
    Field(
        'ends',
        False,
        rules.SWITCH,
        'whether an activation comes before the first layer and after the last, too',
    ),
    Field(
        'learnt_base',
        False,
        rules.SWITCH,
        'whether one comes after the last layer, as with ends, but none before the first',
    ),
    Field('num_bins', 8, rules.whole(2, 1000), 'of each unit of nonlinearity=spline'),
    Field(
        'gaussianise',
        False,
        rules.SWITCH,
        'whether nonlinearity=spline starts as what makes the rows that reach a unit normal',
    ),
    Field(
        'reach',
        4.0,
        rules.ABOVE_ZERO,
        'standard deviations on both sides of the mean that the bins cover at first; with gaussianise, of the normal',
    ),
    Field(
        'activation_rate',
        3.0,
        rules.ABOVE_ZERO,
        'learning rate of nonlinearity=spline, by Adam, as a multiple of lr',
    ),
)
_NICE = (
    Field('num_couplings', 4, LAYERS, 'additive couplings, before a diagonal scaling'),
    Field('hidden_layers', 5, LAYERS, "of each coupling's ReLU network"),
    Field('hidden_units', 1000, UNITS, 'of each of these layers'),
    Field(
        'partition',
        'odd_first',
        rules.one_of('odd_first', 'even_first', 'halves'),
        'which components drive first',
    ),
)
_FLOW = (
    Field('num_couplings', 4, LAYERS, 'affine couplings, on vectors'),
    Field('hidden', (200, 100), rules.WIDTHS, "widths of a coupling's network, on vectors"),
    Field(
        'gain',
        1.0,
        rules.ABOVE_ZERO,
        'its weights start uniform within gain / sqrt(fan-in), on vectors',
    ),
    Field('log_scale_bound', 2.0, rules.ABOVE_ZERO, 'largest absolute log-scale of a coupling'),
    Field('scales', 3, rules.whole(1, 16), 'scales of the multi-scale flow, on images'),
    Field('couplings_per_scale', 4, rules.whole(1, rules.MOST_LAYERS), 'on images'),
    Field('width', 64, UNITS, 'channels inside the DenseNet of a coupling, on images'),
    Field('depth', 8, rules.whole(1, rules.MOST_LAYERS), 'blocks of the DenseNet, on images'),
    Field('growth', 16, UNITS, 'channels that each block of the DenseNet adds, on images'),
)
_GLOW = (
    Field('scales', 2, rules.whole(1, 16), 'L, each halves the sides of the image'),
    Field('steps', 4, rules.whole(1, rules.MOST_LAYERS), 'K of each scale'),
    Field('width', 32, UNITS, "channels inside a coupling's network"),
    Field('log_scale_bound', 2.0, rules.ABOVE_ZERO, 'largest absolute log-scale of a coupling'),
    Field(
        'dequantisation',
        'uniform',
        rules.one_of('uniform', 'variational'),
        'noise within a grey level, for preprocessing=levels; variational: its density is learnt',
    ),
    Field(
        'splines',
        False,
        rules.SWITCH,
        'whether each pixel goes through a learnt spline first, for other presets',
    ),
    Field('num_bins', 16, rules.whole(2, 1000), 'of these splines'),
    Field(
        'reach',
        6.0,
        rules.ABOVE_ZERO,
        'standard deviations on both sides of the mean that the bins cover at first',
    ),
)

FLOWS = {
    'mlp_flow': Model(
        'MLP flow with the relative gradient (Gresele et al. 2020)',
        _mlp_flow,
        ('prior', 'num_layers', 'nonlinearity', 'alpha', 'bias'),
        _MLP_FLOW,
    ),
    'nice': Model('additive couplings, NICE (Dinh et al. 2014)', _nice, ('prior',), _NICE),
    'flow': Model(
        'affine couplings on vectors, a multi-scale flow on binary images',
        _flow,
        ('prior',),
        _FLOW,
        'study',
    ),
    'glow': Model(
        'Glow on grey levels or real images (Kingma, Dhariwal 2018)',
        _glow,
        (),
        _GLOW,
        of_levels=True,
    ),
}
