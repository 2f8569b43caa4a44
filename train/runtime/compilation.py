"""JAX's persistent cache of compiled programs: a second start of the same config compiles nothing anew."""

import hashlib
import os
import pathlib
import platform
import warnings

import jax
from absl import logging

from train.runtime.environment import user_cache

OFF = 'off'


def use_cache(place: str) -> None:
    """Keep compiled programs in a folder from now on, and take from it what is there; see `config.compilation_cache`.

    place: the folder; empty: what JAX_COMPILATION_CACHE_DIR names, else `default_folder`; 'off': none, as
    for several processes on CPUs. A folder that cannot be written is left alone, which one sentence says.
    """
    # Programs that exchange numbers between processes of CPUs have not been seen to work from a cache.
    if place == OFF or (jax.distributed.is_initialized() and jax.default_backend() == 'cpu'):
        jax.config.update('jax_enable_compilation_cache', False)
        return
    try:
        folder = _made(place or jax.config.values['jax_compilation_cache_dir'] or default_folder())
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
        logging.warning('Compiled programs are not kept for the next start (%s).', error)
        jax.config.update('jax_enable_compilation_cache', False)
        return
    jax.config.update('jax_compilation_cache_dir', folder)
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
    # A program that cannot be read is compiled, one that cannot be written is compiled again next time.
    warnings.filterwarnings('ignore', 'Error (reading|writing) persistent compilation cache entry')


def default_folder() -> pathlib.Path:
    """In the user's cache, one for each kind of processor and number of threads, for which programs are made."""
    known = f'{platform.machine()} {_processor()} {os.environ.get("NPROC")}'
    return user_cache() / 'programs' / hashlib.sha256(known.encode()).hexdigest()[:12]


def _processor() -> str:
    """What Linux says of the first core's model and abilities, or the platform's word for it."""
    path = pathlib.Path('/proc/cpuinfo')
    if not path.exists():
        return platform.processor()
    core = path.read_text().partition('\n\n')[0].splitlines()
    return '\n'.join(line for line in core if line.startswith(('model name', 'flags', 'Features')))


def _made(place: str | os.PathLike) -> str:
    """The folder's path, once it is there and can be written; a bucket is taken as it is."""
    if '://' in str(place):
        return str(place)
    folder = pathlib.Path(place).expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f'{folder} cannot be written')
    return str(folder)
