"""Invertible models with exact likelihoods.

On import XLA_FLAGS gets what jaxlib 0.10.2 needs to compute rightly on a CPU, see `flows.compiler`.
"""

from flows import compiler
from flows.actnorm import ActNorm
from flows.base_densities import BaseDensity, Gaussian, Logistic
from flows.bijector import Bijector, Chain, Conditional
from flows.choice import choose
from flows.coupling.additive_coupling import AdditiveCoupling
from flows.coupling.coupling import Coupling
from flows.coupling.coupling_flow import CouplingFlow
from flows.coupling.masks import AlternatingMask, HalfMask, Mask, alternating
from flows.coupling.mlp import MLP, MLPConditioner
from flows.coupling.nice import NICE, DiagonalScaling
from flows.elementwise.activations import ELU, Activation, LeakyTanh, SmoothLeakyReLU, Softplus
from flows.elementwise.rational_quadratic import RationalQuadratic
from flows.elementwise.spline_activation import SplineActivation
from flows.elementwise.transformers import BoundedAffine, Transformer
from flows.flow import Flow
from flows.gaussian import GaussianFlow
from flows.image.image_flow import DenseNet, ImageFlow, MultiScaleFlow
from flows.image.invertible_conv import InvertibleConv
from flows.image.squeeze import Slice, Squeeze
from flows.image.surjections import StandardUniform, UniformAugmentation, UniformDequantisation
from flows.model import LikelihoodModel
from flows.permutation import Reverse
from flows.relative.affine_layer import RelativeAffine
from flows.relative.equivariant_affine import OUTPUT_MOMENTS, has_output_moments
from flows.relative.mlp_flow import MLPFlow
from flows.relative.relative_affine import ordinary_affine, relative_affine

compiler.set_flag()

__all__ = [
    'ELU',
    'MLP',
    'NICE',
    'OUTPUT_MOMENTS',
    'ActNorm',
    'Activation',
    'AdditiveCoupling',
    'AlternatingMask',
    'BaseDensity',
    'Bijector',
    'BoundedAffine',
    'Chain',
    'Conditional',
    'Coupling',
    'CouplingFlow',
    'DenseNet',
    'DiagonalScaling',
    'Flow',
    'Gaussian',
    'GaussianFlow',
    'HalfMask',
    'ImageFlow',
    'InvertibleConv',
    'LeakyTanh',
    'LikelihoodModel',
    'Logistic',
    'MLPConditioner',
    'MLPFlow',
    'Mask',
    'MultiScaleFlow',
    'RationalQuadratic',
    'RelativeAffine',
    'Reverse',
    'Slice',
    'SmoothLeakyReLU',
    'Softplus',
    'SplineActivation',
    'Squeeze',
    'StandardUniform',
    'Transformer',
    'UniformAugmentation',
    'UniformDequantisation',
    'alternating',
    'choose',
    'has_output_moments',
    'ordinary_affine',
    'relative_affine',
]
