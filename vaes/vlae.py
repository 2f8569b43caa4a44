"""Variational Laplace autoencoder.

Park, Kim, Kim, "Variational Laplace Autoencoders", ICML 2019, arXiv:2211.17267. The encoder only
proposes where to start; Newton steps on log p(x, z) move the mean towards the posterior's mode, and
the posterior is the Laplace approximation there, with full covariance:

    mu_{t+1} = mu_t + alpha_t P_t^-1 grad log p(x, mu_t)      alpha_t = update_lr / (t + 1)
    q(z | x) = N(mu_T, P_T^-1)                                P_t = -d^2 log p(x, mu_t) / dz^2

For the Gaussian mu + P^-1 grad log p(x, mu) equals the paper's P^-1 J^T (x - b) / s^2 with
b = f(mu) - J mu. Training differentiates through all of it.
"""

import jax
import jax.numpy as jnp

from flows.choice import choose
from flows.model import Terms
from vaes import laplace
from vaes.cholesky import inverse_cholesky
from vaes.distributions import FullGaussian
from vaes.posterior import Posterior
from vaes.vae import VAE

UPDATE_RULES = ('damped', 'decayed', 'newton')


class VLAE(VAE, kw_only=True):
    """Variational Laplace autoencoder with `n_update` updates.

    Attributes:
        update_rule: 'damped', the published alpha_t = update_lr / (t + 1), which stops short of the
            mode even of a linear decoder (27 % of the start are left after 4 updates); 'decayed', the
            alpha_t = update_lr^t of the code's first release (there with 0.9); or 'newton', the best of
            11 lengths of the Newton step (1, 1/2 .. 2^-9, 0), so that log p(x, mu) never falls.
    """

    n_update: int = 4
    update_lr: float = 0.5
    update_rule: str = 'damped'

    def __post_init__(self) -> None:
        choose('update_rule', self.update_rule, UPDATE_RULES)
        super().__post_init__()

    def posterior(self, x: jax.Array, keys: jax.Array) -> Posterior:
        """q(z | x), a `Posterior`; x (B, D), keys (B,) (unused: the refinement is deterministic)."""
        del keys
        decoder, variables = self.unbound_decoder()
        likelihood = self.likelihood()
        expand = laplace.expansion(decoder, variables, likelihood, x)
        log_joint = self.log_joint(decoder, variables, x)

        def update(mu: jax.Array, step: jax.Array) -> tuple[jax.Array, jax.Array]:
            towards_mode = laplace.newton_direction(expand(mu))
            if self.update_rule == 'newton':
                mu = laplace.best_step(log_joint, mu, towards_mode)
            elif self.update_rule == 'decayed':
                mu = mu + self.update_lr**step * towards_mode
            else:
                mu = mu + self.update_lr / (step + 1.0) * towards_mode
            return mu, mu

        start = self.mean_head(self.features(x))
        steps = jnp.arange(self.n_update, dtype=x.dtype)
        mu, means = jax.lax.scan(update, start, steps)
        trace = jnp.concatenate([start[None], means])
        return Posterior(FullGaussian(mu, inverse_cholesky(expand(mu).precision())), trace)

    def refinement_terms(self, x: jax.Array, posterior: Posterior) -> Terms:
        """'reconstruction_error_t' = -log p(x | mu_t) before (t = 0) and after each update."""
        trace = jax.lax.stop_gradient(posterior.trace)
        f = self.decode(trace.reshape(-1, self.z_dim)).reshape(*trace.shape[:2], -1)
        errors = -self.likelihood().log_prob(x[None], f)
        return {f'reconstruction_error_{t}': error for t, error in enumerate(errors)}
