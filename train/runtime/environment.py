"""What has to stand in the process environment before JAX, TensorFlow and fsspec load."""

import importlib
import os
import pathlib
import re
import sys

import jaxlib.version
import platformdirs

# As in `flows.compiler`, which says why; importing it loads JAX, and a command that does not compute starts without.
FAULTY_JAXLIB = '0.10.2'
XLA_FLAG = '--xla_cpu_experimental_ynn_fusion_type'


APPLICATION = 'likelihood_zoo'
CONFIGS = (
    pathlib.Path(__file__).resolve().parents[2] / 'configs'
)  # those that come with the package


def user_cache() -> pathlib.Path:
    """This user's cache directory of the project; RuntimeError for a user without a home."""
    return pathlib.Path(platformdirs.user_cache_dir(APPLICATION, appauthor=False)).expanduser()


def prepare() -> None:
    """Called when `train` is imported; what the user has set stays."""
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
    # Buckets are read in the same way whether or not TensorFlow is there.
    os.environ.setdefault('EPATH_USE_TF', 'false')
    # Listings are not kept: checkpoints are written past gcsfs, and by other processes.
    os.environ.setdefault('FSSPEC_GCS', '{"use_listings_cache": false}')
    _set_xla_flag()
    _set_threads()


def _set_xla_flag() -> None:
    """Append to XLA_FLAGS what jaxlib 0.10.2 needs to compute rightly on a CPU."""
    flags = os.environ.get('XLA_FLAGS', '')
    if 'jax' in sys.modules:
        importlib.import_module('flows')  # does the same, and warns where it is too late
    elif jaxlib.version.__version__ == FAULTY_JAXLIB and XLA_FLAG not in flags:
        os.environ['XLA_FLAGS'] = f'{flags} {XLA_FLAG}='.strip()


def _set_threads() -> None:
    """Give XLA's CPU client, which is made on first use, the threads it needs."""
    # A loop or a branch of a program holds a thread of the pool while it waits for what is in it: with one thread a
    # core a training step has half the cores for its matrix products.
    threads = 2 * (os.cpu_count() or 1)
    forced = re.search(r'host_platform_device_count=(\d+)', os.environ.get('XLA_FLAGS', ''))
    if forced:
        # With fewer than two threads a device, collectives of several host devices can deadlock.
        threads = max(threads, 3 * int(forced.group(1)))
    os.environ.setdefault('NPROC', str(threads))
