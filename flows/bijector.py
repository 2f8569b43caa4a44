"""The contract that every invertible map keeps, and the composition of such maps."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp

T = TypeVar('T')
WithLogDet = tuple[jax.Array, jax.Array]  # a result, and the log-determinant (B,) that goes with it


class Bijector(Protocol):
    """An invertible map between data x and latent z, both (B, D), one example a row.

    Maps without trained parameters are frozen pytree dataclasses, maps with them Linen modules;
    both have these two methods. The log-determinant is always the true one: log|det dz/dx| forward,
    log|det dx/dz| back, per example, (B,), float32 or the wider float type of the input. The dtype
    of x is kept.
    """

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From data x (B, D) to latent z (B, D) and log|det dz/dx| (B,)."""
        ...

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From latent z (B, D) to data x (B, D) and log|det dx/dz| (B,)."""
        ...


class Conditional:
    """Base, beside `nn.Module` or `Flow` and named before it, of what depends on a context c (B, C), or on none.

    Both methods of such a bijector or base density take `context=None` as well, and of such a flow every method that
    takes or gives x.
    """

    conditional: ClassVar[bool] = True


def takes_context(part: object) -> bool:
    """Whether a part of a flow depends on a context: a `Conditional` does, a `Chain` if one of its layers does."""
    if isinstance(part, Chain):
        return any(takes_context(layer) for layer in part.layers)
    return isinstance(part, Conditional)


def layers_within(parts: Sequence[object]) -> Iterator[object]:
    """The parts of a flow, and of a `Chain` among them what is within its layers."""
    for part in parts:
        if isinstance(part, Chain):
            yield from layers_within(part.layers)
        else:
            yield part


def handed(part: object, context: jax.Array | None) -> dict[str, Any]:
    """The keyword arguments that hand a context to a part of a flow, none where it takes no context."""
    return {'context': context} if takes_context(part) else {}


def wide_dtype(x: jax.Array) -> jnp.dtype:
    """The float type of log-densities of x: float32, or float64 where x has it."""
    return jnp.promote_types(x.dtype, jnp.float32)


def widen(x: jax.Array) -> jax.Array:
    """`x` in the float type of its log-densities."""
    return x.astype(wide_dtype(x))


def check_float(what: str, x: jax.Array) -> None:
    """Raise a ValueError unless x has a floating-point dtype, to which `what` casts its parameters or its result."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f'{what} takes floating-point numbers, got {x.dtype}, in which its result would be cut to whole numbers: '
            'convert them first, as by x.astype(jnp.float32).'
        )


def zero_log_det(x: jax.Array) -> jax.Array:
    """The log-determinant (B,) of a map of x (B, D) that keeps volume."""
    return jnp.zeros(x.shape[:1], wide_dtype(x))


class Chain(Conditional, nn.Module):
    """z = f_n(... f_2(f_1(x))), the first of `layers` nearest the data; log-determinants add.

    A context goes to each layer that takes one; ValueError where none does.

    Attributes:
        layers: bijectors of either kind; Linen modules among them become `layers_0`, `layers_1`,
            ... by position.
    """

    layers: Sequence[Bijector]

    def forward_and_log_det(self, x: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """From x (B, D), given c (B, C), to z (B, D) and log|det dz/dx| (B,)."""
        self._check(context)
        log_det = zero_log_det(x)
        for layer in self.layers:
            x, term = layer.forward_and_log_det(x, **handed(layer, context))
            log_det += term
        return x, log_det

    def inverse_and_log_det(self, z: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """From z (B, D), given c (B, C), to x (B, D) and log|det dx/dz| (B,)."""
        self._check(context)
        log_det = zero_log_det(z)
        for layer in reversed(self.layers):
            z, term = layer.inverse_and_log_det(z, **handed(layer, context))
            log_det += term
        return z, log_det

    def _check(self, context: jax.Array | None) -> None:
        if context is not None and not takes_context(self):
            raise ValueError(
                f'a chain takes a context where one of its layers does, got one of shape {context.shape}: '
                'leave it out, or add a layer that takes it, such as Coupling.'
            )


def own_copy(component: T) -> T:
    """The component itself or, of a Linen module, a copy with parameters of its own, for use in another's `setup`."""
    return component.copy() if isinstance(component, nn.Module) else component
