"""Invertible models with exact likelihoods.

On import XLA_FLAGS gets what jaxlib 0.10.2 needs to compute rightly on a CPU, see `flows.compiler`.
"""

from flows import compiler
from flows.activations import ACTIVATIONS, ELU, LeakyTanh, SmoothLeakyReLU, Softplus, activation
from flows.actnorm import ActNorm
from flows.affine_coupling import AffineCoupling, MLPConditioner
from flows.affine_layer import RelativeAffine
from flows.bijector import Bijector, Chain
from flows.coupling import AdditiveCoupling, Halves, Reverse, Stripes
from flows.coupling_flow import CouplingFlow
from flows.equivariant_affine import OUTPUT_MOMENTS, has_output_moments
from flows.flow import Flow
from flows.image_flow import ImageFlow
from flows.invertible_conv import InvertibleConv
from flows.mlp import MLP
from flows.mlp_flow import MLPFlow
from flows.nice import NICE, PARTITIONS, DiagonalScaling
from flows.priors import PRIORS, Gaussian, Logistic, prior
from flows.relative_affine import ordinary_affine, relative_affine
from flows.squeeze import Slice, Squeeze
from flows.surjections import StandardUniform, UniformAugmentation, UniformDequantisation

compiler.set_flag()

__all__ = [
    'ACTIVATIONS',
    'ELU',
    'MLP',
    'NICE',
    'OUTPUT_MOMENTS',
    'PARTITIONS',
    'PRIORS',
    'ActNorm',
    'AdditiveCoupling',
    'AffineCoupling',
    'Bijector',
    'Chain',
    'CouplingFlow',
    'DiagonalScaling',
    'Flow',
    'Gaussian',
    'Halves',
    'ImageFlow',
    'InvertibleConv',
    'LeakyTanh',
    'Logistic',
    'MLPConditioner',
    'MLPFlow',
    'RelativeAffine',
    'Reverse',
    'Slice',
    'SmoothLeakyReLU',
    'Softplus',
    'Squeeze',
    'StandardUniform',
    'Stripes',
    'UniformAugmentation',
    'UniformDequantisation',
    'activation',
    'has_output_moments',
    'ordinary_affine',
    'prior',
    'relative_affine',
]
