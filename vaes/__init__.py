"""Latent-variable models: a bound on log p(x) in training, importance sampling in evaluation."""

from vaes.convergence_vae import ConvergenceVAE, IndependentGaussian
from vaes.distributions import BernoulliLikelihood
from vaes.draw import DRAW
from vaes.factor_analysis import FactorAnalysis
from vaes.householder import HouseholderVAE
from vaes.iaf import IAFVAE
from vaes.ladder_vae import LadderVAE
from vaes.latent_variable_model import LatentVariableModel
from vaes.sa_vae import SAVAE
from vaes.vae import VAE
from vaes.vlae import VLAE

__all__ = [
    'DRAW',
    'IAFVAE',
    'SAVAE',
    'VAE',
    'VLAE',
    'BernoulliLikelihood',
    'ConvergenceVAE',
    'FactorAnalysis',
    'HouseholderVAE',
    'IndependentGaussian',
    'LadderVAE',
    'LatentVariableModel',
]
