"""What every latent-variable model shares: bound, importance weights, samples, reconstructions.

    ELBO(x) = E_q[log p(x | z)] - KL(q(z | x) || p(z)) <= log p(x)

Kingma, Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from flows import importance
from flows import keys as example_keys
from flows.base_densities import standard_normal_log_prob
from flows.choice import choose
from flows.model import LikelihoodModel, Terms
from vaes import laplace, refined
from vaes.distributions import Likelihood, Proposal
from vaes.groups import map_groups

# What an example's key is used for.
REFINEMENT, LATENT, IMPORTANCE = range(3)
PROPOSAL = (
    2**20
)  # of the posterior's key, whose own draws are numbered by their steps, which are fewer
KLS = ('sample', 'analytic')
PROPOSALS = ('posterior', 'refined')  # what importance samples are drawn from
# Outputs of one layer alive at a time in importance sampling: 4 MiB in float32 a temporary array, about a CPU's
# cache (with 64 MiB it takes twice the time there).
OUTPUTS_AT_A_TIME = 2**20


class LatentVariableModel(LikelihoodModel, kw_only=True):
    """Base class: a subclass says what q, p(z) and p(x | z) are; everything else is here.

    A subclass defines
        posterior(x, keys) -> a value with `sample_and_log_prob(keys, shape=()) -> (z, log_q)` and
            `kl_to_standard_normal() -> (B,) or None`, see `vaes.posterior`; z is an array, or a pytree of arrays,
            with leading axes (*shape, B); evaluation mode; whatever the draw does not need is computed
            here, once;
        sample_prior(key, n) -> z with leading axis n;
        prior_log_prob(z) -> (n,), unless p(z) is N(0, I);
        decode(z) -> f, an array or pytree with leading axis n, for z with leading axis n;
        likelihood() -> a value with `log_prob(x, f)`, `mean(f)` and `sample(key, f)`.
    A model whose training differs from its evaluation (batch statistics), or that gets p(x | z)
    while it draws z, overrides `bound_terms`, `log_weights` and `reconstruct`; its posterior is
    then whatever these need.

    Attributes:
        kl: 'sample' (log q(z) - log p(z) at the one draw) or 'analytic' (closed form where the
            posterior has one).
        kl_warmup_steps: steps over which the weight of the KL grows linearly to 1 in training; 0 for
            none.
    """

    kl: str = 'sample'
    kl_warmup_steps: int = 0

    exact: ClassVar[bool] = False
    has_posterior: ClassVar[bool] = True
    # Whether z is one vector with the prior N(0, I), for which `vaes.refined` can make a proposal.
    refinable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        choose('kl', self.kl, KLS)
        super().__post_init__()

    def posterior(self, x: jax.Array, keys: jax.Array) -> Any:
        """q(z | x) in evaluation mode."""
        raise NotImplementedError

    def sample_prior(self, key: jax.Array, n: int) -> Any:
        """n draws z ~ p(z)."""
        raise NotImplementedError

    def decode(self, z: Any) -> Any:
        """The likelihood's parameters f for z."""
        raise NotImplementedError

    def likelihood(self) -> Likelihood:
        """p(x | f)."""
        raise NotImplementedError

    def prior_log_prob(self, z: Any) -> jax.Array:
        """log p(z), (n,)."""
        return standard_normal_log_prob(z)

    def bound_terms(self, x: jax.Array, keys: jax.Array, training: bool = False) -> Terms:
        """Terms of one draw's bound: dict of (B,), 'reconstruction_error', 'kl', others to log."""
        del training
        posterior = self.posterior(x, example_keys.fold_in(keys, REFINEMENT))
        z, log_q = posterior.sample_and_log_prob(example_keys.fold_in(keys, LATENT))
        kl = posterior.kl_to_standard_normal() if self.kl == 'analytic' else None
        return {
            'reconstruction_error': -self.likelihood().log_prob(x, self.decode(z)),
            'kl': log_q - self.prior_log_prob(z) if kl is None else kl,
            **self.refinement_terms(x, posterior),
        }

    def refinement_terms(self, x: jax.Array, posterior: Any) -> Terms:
        """What to log of a posterior's refinement, a dict of (B,) arrays."""
        del x, posterior
        return {}

    def log_weights(
        self, x: jax.Array, posterior: Any, keys: jax.Array, num_samples: int
    ) -> jax.Array:
        """log p(x, z) - log q(z | x) of `num_samples` draws, (num_samples, B), from `keys` (B,)."""
        z, log_q = posterior.sample_and_log_prob(keys, (num_samples,))
        rows = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), z)
        f = jax.tree.map(lambda a: a.reshape(*log_q.shape, *a.shape[1:]), self.decode(rows))
        log_prior = self.prior_log_prob(rows).reshape(log_q.shape)
        return self.likelihood().log_prob(x[None], f) + log_prior - log_q

    def objective(self, x: jax.Array, keys: jax.Array, step: jax.Array) -> Terms:
        """Training: dict of (B,) arrays, 'loss' (-ELBO, its KL weighted) and the terms to log.

        Args:
            x: (B, D).
            keys: (B,) typed keys.
            step: int32 scalar, the number of updates made so far.
        """
        terms = self.bound_terms(x, keys, training=True)
        weight: jax.Array | float = 1.0
        if self.kl_warmup_steps:
            weight = jnp.minimum(1.0, (step + 1.0) / self.kl_warmup_steps)
        loss = terms['reconstruction_error'] + weight * terms['kl']
        return {'loss': loss, 'elbo': -terms['reconstruction_error'] - terms['kl'], **terms}

    def elbo(self, x: jax.Array, keys: jax.Array) -> jax.Array:
        """One draw's evidence lower bound with the full KL, in nats: (B,)."""
        terms = self.bound_terms(x, keys)
        return -terms['reconstruction_error'] - terms['kl']

    def log_likelihood(self, x: jax.Array, keys: jax.Array, num_samples: int) -> jax.Array:
        """log p(x) in nats by importance sampling, (B,); see `importance_estimate`."""
        return self.importance_estimate(x, keys, num_samples).log_likelihood

    def proposal(self, x: jax.Array, keys: jax.Array, name: str = 'posterior') -> Proposal:
        """What importance samples of x (B, D) are drawn from, one of PROPOSALS; keys (B,).

        'posterior': q(z | x). 'refined': made for each example, see `vaes.refined`; ValueError for a model whose z is
        not one vector, and for a decoder without forward-mode differentiation.
        """
        choose('proposal', name, PROPOSALS)
        posterior = self.posterior(x, keys)
        if name == 'posterior':
            return posterior
        if not self.refinable:
            raise ValueError(
                f"The proposal 'refined' needs a model whose z is one vector; {type(self).__name__} "
                "has several that depend on each other: use 'posterior'."
            )
        decoder, variables = self.unbound_decoder()
        likelihood = self.likelihood()
        expand = laplace.expansion(decoder, variables, likelihood, x)
        refinement = example_keys.fold_in(keys, PROPOSAL)
        return refined.refine(posterior, refinement, self.log_joint(decoder, variables, x), expand)

    def log_joint(
        self, decoder: Any, variables: Any, x: jax.Array
    ) -> Callable[[jax.Array], jax.Array]:
        """log p(x, z), (n, B), as a function of z (n, B, k), for x (B, D) and an unbound decoder."""
        likelihood = self.likelihood()

        def log_joint(z: jax.Array) -> jax.Array:
            f = decoder.apply(variables, z.reshape(-1, z.shape[-1]))
            f = f.reshape(*z.shape[:-1], -1)
            return likelihood.log_prob(x[None], f) + standard_normal_log_prob(z)

        return log_joint

    def unbound_decoder(self) -> tuple[Any, Any]:
        """An unbound decoder and its variables: decoder.apply(variables, z) is `decode(z)`."""
        model, variables = self.unbind()
        return _Decoder(model), variables

    def importance_estimate(
        self, x: jax.Array, keys: jax.Array, num_samples: int, proposal: str = 'posterior'
    ) -> importance.Estimate:
        """`importance.Estimate` of log p(x) from `num_samples` draws of a proposal per example.

        proposal: 'posterior' or 'refined', see the method of that name. Examples go through in groups so that, for any
        B and any width of the layers, about 4 MiB per temporary array are alive at a time.
        """
        model: Any
        model, variables = self.unbind()  # a bound module cannot be called inside lax.scan

        def estimate(rows: jax.Array) -> importance.Estimate:
            x_rows, keys_rows = x[rows], keys[rows]
            refinement = example_keys.fold_in(keys_rows, REFINEMENT)
            q = model.apply(variables, x_rows, refinement, proposal, method='proposal')

            draws = example_keys.fold_in(keys_rows, IMPORTANCE)

            def log_weights(block: jax.Array, size: int) -> jax.Array:
                block_keys = example_keys.fold_in(draws, block)
                return model.apply(variables, x_rows, q, block_keys, size, method='log_weights')

            return importance.estimate(log_weights, num_samples)

        width = max(x.shape[-1], _widest_output(variables))
        outputs_per_example = min(num_samples, importance.BLOCK) * width
        return map_groups(estimate, x.shape[0], max(1, OUTPUTS_AT_A_TIME // outputs_per_example))

    def decode_mean(self, z: Any) -> jax.Array:
        """E[x | z], (n, D)."""
        return self.likelihood().mean(self.decode(z))

    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """x ~ p(x), (n, D)."""
        latent, output = jax.random.split(key)
        return self.likelihood().sample(output, self.decode(self.sample_prior(latent, n)))

    def sample_mean(self, key: jax.Array, n: int) -> jax.Array:
        """E[x | z], (n, D), for the z that `sample` draws from the same key."""
        latent, _ = jax.random.split(key)
        return self.decode_mean(self.sample_prior(latent, n))

    def reconstruct(self, x: jax.Array, keys: jax.Array) -> jax.Array:
        """E[x | z], (B, D), at one draw z ~ q(z | x)."""
        posterior = self.posterior(x, example_keys.fold_in(keys, REFINEMENT))
        z, _ = posterior.sample_and_log_prob(example_keys.fold_in(keys, LATENT))
        return self.decode_mean(z)

    def reconstruct_trace(self, x: jax.Array, keys: jax.Array) -> jax.Array:
        """E[x | z] before and after each step that refines q, (T + 1, B, D); here of the unrefined one, T = 0."""
        return self.reconstruct(x, keys)[None]


@dataclasses.dataclass(frozen=True)
class _Decoder:
    """`decode` of an unbound model, with the interface of a decoder that is a module."""

    model: Any

    def apply(self, variables: Any, z: jax.Array) -> jax.Array:
        return self.model.apply(variables, z, method='decode')


def _widest_output(variables: Any) -> int:
    """The outputs of the widest layer: the last axis of kernels and biases, whatever the networks are."""
    return max((leaf.shape[-1] for leaf in jax.tree.leaves(variables) if leaf.ndim), default=1)
