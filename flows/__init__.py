"""Invertible models with exact likelihoods.

On import XLA_FLAGS gets what jaxlib 0.10.2 needs to compute rightly on a CPU, see `flows.compiler`.
"""

from flows import compiler
from flows.activations import ELU, Activation, LeakyTanh, SmoothLeakyReLU, Softplus
from flows.actnorm import ActNorm
from flows.additive_coupling import AdditiveCoupling
from flows.affine_layer import RelativeAffine
from flows.base_densities import BaseDensity, Gaussian, Logistic
from flows.bijector import Bijector, Chain
from flows.choice import choose
from flows.coupling import Coupling
from flows.coupling_flow import CouplingFlow
from flows.equivariant_affine import OUTPUT_MOMENTS, has_output_moments
from flows.flow import Flow
from flows.image_flow import DenseNet, ImageFlow, MultiScaleFlow
from flows.invertible_conv import InvertibleConv
from flows.masks import AlternatingMask, HalfMask, Mask, alternating
from flows.mlp import MLP, MLPConditioner
from flows.mlp_flow import MLPFlow
from flows.model import LikelihoodModel
from flows.nice import NICE, DiagonalScaling
from flows.permutation import Reverse
from flows.rational_quadratic import RationalQuadratic
from flows.relative_affine import ordinary_affine, relative_affine
from flows.spline_activation import SplineActivation
from flows.squeeze import Slice, Squeeze
from flows.surjections import StandardUniform, UniformAugmentation, UniformDequantisation
from flows.transformers import BoundedAffine, Transformer

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
    'Coupling',
    'CouplingFlow',
    'DenseNet',
    'DiagonalScaling',
    'Flow',
    'Gaussian',
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
