"""What exact flows share: log p(x) = log p_Z(f(x)) + log|det df/dx|, bijector f and prior p_Z."""

import flax.linen as nn

from flows.priors import prior


class Flow(nn.Module):
    """Base of the exact flows. A subclass adds the two methods of a bijector and `num_features`.

    Attributes:
        prior: name of the density of z, see `flows.PRIORS`.

    `is_onto` says whether f reaches all of the latent space; where it does not, `warning` says what
    that means and `sample` refuses. A subclass with a RelativeAffine inside overrides `objective`,
    so that no named term but `loss` needs log|det W|.
    """

    prior: str = 'gaussian'

    exact = True
    is_onto = True

    def __post_init__(self):
        prior(self.prior)
        super().__post_init__()

    @property
    def warning(self):
        """One sentence that a user should read before training, or None."""
        if self.is_onto:
            return None
        return (
            f'{type(self).__name__} does not reach the whole latent space, so its density '
            'integrates to less than one, its log-likelihood is a lower bound of the normalised '
            'one and it cannot be sampled: choose smooth_leaky_relu or leaky_tanh.'
        )

    def objective(self, x, keys, step):
        """{'loss', 'nll'}, both -log p(x) in nats, (B,), for x (B, D)."""
        del keys, step
        nll = -self.log_likelihood(x)
        return {'loss': nll, 'nll': nll}

    def log_likelihood(self, x, keys=None, num_samples=None):
        """log p(x) in nats, exact, (B,), for x (B, D); keys and num_samples are not needed."""
        del keys, num_samples
        z, log_det = self.forward_and_log_det(x)
        return prior(self.prior).log_prob(z) + log_det

    def sample(self, key, n):
        """n draws x ~ p(x), (n, D), float32. Raises ValueError where the flow is not onto."""
        if not self.is_onto:
            raise ValueError(self.warning)
        z = prior(self.prior).sample(key, (n, self.num_features))
        return self.inverse_and_log_det(z)[0]
