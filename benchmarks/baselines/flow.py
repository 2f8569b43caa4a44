"""The published JAX training of the relative-gradient flow, written anew from its description, as a baseline.

Gresele, Fissore, Javaloy, Schoelkopf, Hyvarinen, 2020, arXiv:2006.15090. Zeros are added to every pre-activation
y_l = z_{l-1} W_l + b_l and the mean loss -(log p(z_L) + sum log s') is differentiated with respect to them, which gives
delta_l; then

    dW = W (W^T z^T) delta + (W b^T) db - W,    db = (1 + b b^T) db_0 + ((b W^T) z^T) delta,    db_0 = 1^T delta

with b and db as rows. The log-determinant's share of db, which is -b, is missing there, and so it is here. Adam counts
epochs in place of steps. One jitted update per step is called from the host with a slice of the epoch's permuted rows.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.example_libraries import optimizers

ALPHA = 0.01


def s(y):
    """The smooth leaky ReLU of a scalar."""
    return ALPHA * y + (1 - ALPHA) * jnp.logaddexp(y, 0.0)


_elementwise_s = jax.vmap(jax.vmap(s))
_slope = jax.vmap(jax.vmap(jax.grad(s)))


def initial(width, num_layers, seed=42):
    """Parameters as a list of (W (D, D) orthogonal, b (1, D) zero)."""
    keys = jax.random.split(jax.random.PRNGKey(seed), num_layers)
    orthogonal = jax.nn.initializers.orthogonal()
    return [(orthogonal(key, (width, width)), jnp.zeros((1, width))) for key in keys]


def without_log_det_W(params, zeros, x):
    """log p(z_L) + sum log s' of rows x (B, D), (B,), and the inputs z_0, ..., z_{L-1} of the layers."""
    inputs, z, log_slopes = [], x, 0.0
    for index, ((W, b), zero) in enumerate(zip(params, zeros, strict=True)):
        inputs.append(z)
        z = z @ W + b + zero
        if index < len(params) - 1:
            log_slopes += jnp.log(_slope(z)).sum(1)
            z = _elementwise_s(z)
    return jax.scipy.stats.norm.logpdf(z).sum(1) + log_slopes, inputs


def gradient(params, x):
    """The published relative gradient of the mean loss over x (B, D), without the loss: a list like `params`."""

    def loss(zeros):
        values, inputs = without_log_det_W(params, zeros, x)
        return -values.mean(), inputs

    deltas, inputs = jax.grad(loss, has_aux=True)([jnp.zeros_like(x) for _ in params])
    return [
        _of_layer(W, b, z, delta) for (W, b), z, delta in zip(params, inputs, deltas, strict=True)
    ]


def _of_layer(W, b, z, delta):
    db = delta.sum(0, keepdims=True)
    dW = W @ (W.T @ z.T) @ delta + (W @ b.T) @ db - W
    return dW, db * (1 + b @ b.T) + ((b @ W.T) @ z.T) @ delta


class Training:
    """Epochs of the published loop over rows in the model's space, (N, D) float32.

    first_epoch: the number of the first epoch, which Adam takes for its step: 0 in the program, 1 in the notebooks.
    """

    def __init__(self, rows, validation, *, batch_size, num_layers=2, lr=1e-4, first_epoch=0):
        init, opt_update, self._params = optimizers.adam(lr)
        self._rows, self._validation, self._batch_size = rows, validation, batch_size
        self.state, self._epoch = init(initial(rows.shape[1], num_layers)), first_epoch

        @jax.jit
        def update(epoch, state, batch):
            return opt_update(epoch, gradient(self._params(state), batch), state)

        self._update = update
        self._log_likelihood = jax.jit(log_likelihood)

    def epoch(self, steps=None):
        """One pass over the rows in a new order, or its first so many steps."""
        order = self._rows[np.random.permutation(len(self._rows))]
        for start in range(0, len(order), self._batch_size)[:steps]:
            batch = order[start : start + self._batch_size]
            self.state = self._update(self._epoch, self.state, batch)
        self._epoch += 1
        jax.block_until_ready(self.state)

    def params(self):
        """The parameters as they are now, a list of (W, b)."""
        return self._params(self.state)

    def close_epoch(self, folder):
        """The validation set's mean negative log-likelihood, and the parameters' two copies on disk."""
        params = self._params(self.state)
        for name in ('params', f'params_{(self._epoch - 1) % 30}'):
            flat = [leaf for layer in jax.device_get(params) for leaf in layer]
            for index, leaf in enumerate(flat):
                np.save(folder / f'{name}_{index}.npy', leaf)
        np.save(folder / 'checkpoint.npy', self._epoch)
        return -float(self._log_likelihood(params, self._validation).mean())


def log_likelihood(params, x):
    """log p(x), (B,), of rows x (B, D)."""
    values, _ = without_log_det_W(params, [0.0] * len(params), x)
    return values + sum(jnp.linalg.slogdet(W)[1] for W, _ in params)
