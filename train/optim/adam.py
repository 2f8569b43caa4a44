"""Adam with one division an entry, as an optax transformation.

Kingma, Ba, "Adam: A method for stochastic optimization", 2015, arXiv:1412.6980, in the order of computation that the
end of its section 2 names: the corrections of both moments' bias become one factor of the whole update,

    m_hat / (sqrt(v_hat) + eps) = k m / (sqrt(v) + eps r),    r = sqrt(1 - b2^t),    k = r / (1 - b1^t).

`optax.scale_by_adam` divides every entry three times, which a whole training step of the MLP flow feels on a CPU at
small batches (`python -m benchmarks.train_step`).
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax


def scale_by_adam(
    b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> optax.GradientTransformation:
    """What `optax.scale_by_adam` is, to rounding, with its state."""
    init = optax.scale_by_adam(b1, b2, eps).init

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByAdamState]:
        del params
        count = optax.safe_increment(state.count)
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, gradient)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, state.nu, gradient)
        t = count.astype(jnp.result_type(float))
        r = jnp.sqrt(1 - b2**t)
        k = r / (1 - b1**t)
        scaled = jax.tree.map(lambda m, v: k * m / (jnp.sqrt(v) + eps * r), m, v)
        return scaled, optax.ScaleByAdamState(count, m, v)

    return optax.GradientTransformation(init, update)
