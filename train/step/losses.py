"""The training loss among the terms that a model logs."""

from collections.abc import Mapping
from typing import Any

# What says how well a model trains, with its sign as a loss: the first that is there.
LOGGED = (('nll', 1), ('elbo', -1))


def training_loss(terms: Mapping[str, Any]) -> Any:
    """The training loss in nats, comparable with the validation loss, or None.

    terms: name -> number or array. A model that logs only a part of its loss has None.
    """
    for name, sign in LOGGED:
        if name in terms:
            return sign * terms[name]
    return None
