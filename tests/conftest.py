"""Test environment: eight forced host devices, strict rank promotion, quiet TensorFlow."""

import os
import pathlib

# Collectives of eight host devices need a thread pool of at least twice that size, or they deadlock.
os.environ.setdefault('NPROC', '32')
os.environ['XLA_FLAGS'] = ' '.join(
    [
        os.environ.get('XLA_FLAGS', ''),
        '--xla_force_host_platform_device_count=8',
        '--xla_cpu_collective_call_terminate_timeout_seconds=60',
        # Tests compile much and run little: without the emitters that optimise, and as one module, half as long.
        '--xla_backend_optimization_level=0',
        '--xla_cpu_use_fusion_emitters=false',
        '--xla_cpu_parallel_codegen_split_count=1',
    ]
)
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
os.environ.setdefault('MPLBACKEND', 'Agg')

import jax
import pytest

jax.config.update('jax_numpy_rank_promotion', 'raise')

MOST_MAPS = 15_000


@pytest.fixture(scope='session', autouse=True)
def compiled_once(tmp_path_factory):
    """Programs that several tests of a process, or the commands they run, compile are compiled once."""
    folder = str(tmp_path_factory.mktemp('compiled'))
    os.environ['JAX_COMPILATION_CACHE_DIR'] = folder
    jax.config.update('jax_compilation_cache_dir', folder)
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.2)


@pytest.fixture(scope='module', autouse=True)
def few_programs():
    """Compiled programs are memory maps, of which Linux allows a process 65,530: they are let go of before that."""
    yield
    maps = pathlib.Path('/proc/self/maps')
    if maps.exists() and maps.read_text().count('\n') > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture
def x64():
    """Run a test in float64, for identities that hold to rounding."""
    with jax.enable_x64(True):
        yield
