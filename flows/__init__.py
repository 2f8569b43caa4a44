"""Invertible models with exact likelihoods."""

from flows.activations import ACTIVATIONS, ELU, LeakyTanh, SmoothLeakyReLU, Softplus, activation
from flows.bijector import Bijector, Chain
from flows.coupling import AdditiveCoupling, Halves, Reverse, Stripes
from flows.flow import Flow
from flows.mlp import MLP
from flows.mlp_flow import MLPFlow
from flows.nice import NICE, PARTITIONS, DiagonalScaling
from flows.priors import PRIORS, Gaussian, Logistic, prior
from flows.relative_affine import RelativeAffine, ordinary_affine, relative_affine

__all__ = [
    'ACTIVATIONS',
    'ELU',
    'MLP',
    'NICE',
    'PARTITIONS',
    'PRIORS',
    'AdditiveCoupling',
    'Bijector',
    'Chain',
    'DiagonalScaling',
    'Flow',
    'Gaussian',
    'Halves',
    'LeakyTanh',
    'Logistic',
    'MLPFlow',
    'RelativeAffine',
    'Reverse',
    'SmoothLeakyReLU',
    'Softplus',
    'Stripes',
    'activation',
    'ordinary_affine',
    'prior',
    'relative_affine',
]
