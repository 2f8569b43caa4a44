"""Invertible models with exact likelihoods.

On import XLA_FLAGS gets what jaxlib 0.10.2 needs to compute rightly on a CPU, see `flows.compiler`.
"""

from flows import compiler
from flows.actnorm import ActNorm
from flows.autoregressive.autoregressive import Autoregressive
from flows.autoregressive.made import MADE
from flows.autoregressive.maf import maf
from flows.autoregressive.mixture import MixtureMADE
from flows.base_densities import (
    BaseDensity,
    Gaussian,
    HyperbolicSecant,
    Logistic,
    StandardUniform,
    Tempered,
)
from flows.bijector import Bijector, Chain, Conditional
from flows.chain_flow import ChainFlow
from flows.choice import choose
from flows.coupling.additive_coupling import AdditiveCoupling
from flows.coupling.coupling import Coupling
from flows.coupling.coupling_flow import CouplingFlow
from flows.coupling.masks import AlternatingMask, HalfMask, Mask, alternating
from flows.coupling.mlp import MLP, MLPConditioner, ResidualMLP
from flows.coupling.nice import NICE, DiagonalScaling
from flows.coupling.real_nvp import real_nvp
from flows.elementwise.activations import ELU, Activation, LeakyTanh, SmoothLeakyReLU, Softplus
from flows.elementwise.rational_quadratic import RationalQuadratic
from flows.elementwise.spline_activation import SplineActivation
from flows.elementwise.transformers import (
    Affine,
    BoundedAffine,
    RationalQuadraticSpline,
    Transformer,
)
from flows.flow import Flow
from flows.gaussian import GaussianFlow
from flows.image.glow import ConvNet, GlowFlow
from flows.image.image_flow import DenseNet, ImageFlow, MultiScaleFlow, RealImageFlow
from flows.image.invertible_conv import InvertibleConv
from flows.image.squeeze import Slice, Squeeze
from flows.image.surjections import (
    Dequantisation,
    UniformAugmentation,
    UniformDequantisation,
)
from flows.image.variational_dequantisation import VariationalDequantisation
from flows.model import LikelihoodModel
from flows.neural_spline_flow import autoregressive_spline_flow, coupling_spline_flow
from flows.permutation import Permutation, Reverse
from flows.relative.affine_layer import RelativeAffine
from flows.relative.equivariant_affine import OUTPUT_MOMENTS, has_output_moments
from flows.relative.lu_affine import LUAffine
from flows.relative.mlp_flow import MLPFlow
from flows.relative.relative_affine import ordinary_affine, relative_affine

compiler.set_flag()

__all__ = [
    'ELU',
    'MADE',
    'MLP',
    'NICE',
    'OUTPUT_MOMENTS',
    'ActNorm',
    'Activation',
    'AdditiveCoupling',
    'Affine',
    'AlternatingMask',
    'Autoregressive',
    'BaseDensity',
    'Bijector',
    'BoundedAffine',
    'Chain',
    'ChainFlow',
    'Conditional',
    'ConvNet',
    'Coupling',
    'CouplingFlow',
    'DenseNet',
    'Dequantisation',
    'DiagonalScaling',
    'Flow',
    'Gaussian',
    'GaussianFlow',
    'GlowFlow',
    'HalfMask',
    'HyperbolicSecant',
    'ImageFlow',
    'InvertibleConv',
    'LUAffine',
    'LeakyTanh',
    'LikelihoodModel',
    'Logistic',
    'MLPConditioner',
    'MLPFlow',
    'Mask',
    'MixtureMADE',
    'MultiScaleFlow',
    'Permutation',
    'RationalQuadratic',
    'RationalQuadraticSpline',
    'RealImageFlow',
    'RelativeAffine',
    'ResidualMLP',
    'Reverse',
    'Slice',
    'SmoothLeakyReLU',
    'Softplus',
    'SplineActivation',
    'Squeeze',
    'StandardUniform',
    'Tempered',
    'Transformer',
    'UniformAugmentation',
    'UniformDequantisation',
    'VariationalDequantisation',
    'alternating',
    'autoregressive_spline_flow',
    'choose',
    'coupling_spline_flow',
    'has_output_moments',
    'maf',
    'ordinary_affine',
    'real_nvp',
    'relative_affine',
]
