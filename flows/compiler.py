"""The flag without which jaxlib 0.10.2 computes wrong numbers on a CPU.

Under jit, `x - (a * m).sum(-1)` for x (64, 784), a (784, 8) and m (64, 784, 8) comes out wrong there by whole units,
and nothing is NaN: XLA's YNNPACK fusions take the sum wrongly. Without these fusions it is right, and so are jaxlib
0.10.0 and 0.10.1 as they are.

XLA reads its flags from the environment once, when JAX starts its backend, and aborts the process at a flag that it
does not know. So this is the one place of the package that touches the environment: only on import can the flag be
set in time. It is set for the one version that needs it, behind the user's own flags, and not where the user has given
it a value.
"""

import os
import warnings

import jax
import jaxlib

VERSION = '0.10.2'
NAME = '--xla_cpu_experimental_ynn_fusion_type'
FLAG = f'{NAME}='


def set_flag() -> None:
    """Append FLAG to XLA_FLAGS for jaxlib 0.10.2; where JAX has started on a CPU without it, warn instead."""
    flags = os.environ.get('XLA_FLAGS', '')
    if jaxlib.__version__ != VERSION or NAME in flags:
        return
    if not _started():
        os.environ['XLA_FLAGS'] = f'{flags} {FLAG}'.strip()
    elif jax.default_backend() == 'cpu':
        warnings.warn(
            f'jaxlib {VERSION} computes some sums wrongly under jit on a CPU, and JAX has started without the flag '
            'that prevents it: import flows, vaes or train before the first computation, or set '
            f'XLA_FLAGS={FLAG} in the environment.',
            RuntimeWarning,
            stacklevel=3,
        )


def _started() -> bool:
    # JAX has no public function that says so without starting its backend; VERSION has this one.
    from jax._src.xla_bridge import backends_are_initialized

    return backends_are_initialized()
