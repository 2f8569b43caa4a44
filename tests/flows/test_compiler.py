"""The compiler computes rightly: the flag that jaxlib 0.10.2 needs on a CPU is set in time, and no other."""

import os
import platform
import subprocess
import sys

import jaxlib
import pytest

from benchmarks import under_jit
from flows import compiler
from train.runtime import environment

CANARY = """
import jax, jax.numpy as jnp, numpy as np
draw = np.random.default_rng(0).standard_normal
x, a, m = (jnp.float32(draw(shape)) for shape in ((64, 784), (784, 8), (64, 784, 8)))
f = lambda x, a, m: x - (a[None] * m).sum(-1)
print(abs(f(x, a, m) - jax.jit(f)(x, a, m)).max(), os.environ.get('XLA_FLAGS', ''), jax.device_count())
"""
IMPORTS = {
    'nothing': '',
    'vaes': 'from vaes import VAE',
    'load, then flows': 'from train import load; assert "jax" not in sys.modules; import flows',
}
USERS = '--xla_force_host_platform_device_count=3'
faulty = pytest.mark.skipif(
    jaxlib.__version__ != compiler.VERSION or platform.machine() != 'x86_64',
    reason='this jaxlib has not been seen to compute wrongly',
)


@pytest.fixture(scope='module')
def canaries():
    """name of `IMPORTS` -> (largest error, XLA_FLAGS, devices), each of a process of its own, side by side."""
    environment = {**os.environ, 'XLA_FLAGS': USERS, 'JAX_PLATFORMS': 'cpu'}
    started = {
        name: subprocess.Popen(
            [sys.executable, '-W', 'error', '-c', f'import os, sys\n{line}\n{CANARY}'],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, line in IMPORTS.items()
    }
    return {name: process.communicate()[0].split() for name, process in started.items()}


@faulty
def test_canary_is_computed_wrongly_without_the_flag(canaries):
    error, *flags, devices = canaries['nothing']
    assert float(error) > 1
    assert (flags, devices) == ([USERS], '3')


@pytest.mark.parametrize('name', [name for name in IMPORTS if name != 'nothing'])
def test_canary_is_computed_rightly_after_an_import(canaries, name):
    error, *flags, devices = canaries[name]
    assert float(error) < 1e-4
    assert devices == '3'
    if jaxlib.__version__ == compiler.VERSION:
        assert flags == [USERS, compiler.FLAG]


@pytest.fixture
def started(monkeypatch):
    """Sets whether JAX has started, and XLA_FLAGS; the version is the faulty one."""
    monkeypatch.setattr(compiler.jaxlib, '__version__', compiler.VERSION)

    def start(value, flags):
        monkeypatch.setattr(compiler, '_started', lambda: value)
        monkeypatch.setenv('XLA_FLAGS', flags)

    return start


@pytest.mark.parametrize('value', ['', 'LIBRARY_FUSION_TYPE_DOT'])
@pytest.mark.parametrize('has_started', [False, True])
def test_value_of_the_users_own_stays(started, value, has_started):
    flags = f'{compiler.NAME}={value} {USERS}'
    started(has_started, flags)
    compiler.set_flag()
    assert os.environ['XLA_FLAGS'] == flags


def test_other_versions_are_left_alone(started, monkeypatch):
    started(False, USERS)
    monkeypatch.setattr(compiler.jaxlib, '__version__', '0.10.3')
    compiler.set_flag()
    assert os.environ['XLA_FLAGS'] == USERS


def test_flag_that_comes_too_late_is_said_in_one_sentence(started):
    started(True, USERS)
    with pytest.warns(RuntimeWarning, match='before the first computation, or set XLA_FLAGS=--xla'):
        compiler.set_flag()
    assert os.environ['XLA_FLAGS'] == USERS


@pytest.mark.parametrize(
    'name',
    [
        'diagonal scaling',
        'actnorm',
        'affine coupling',
        'additive coupling, alternating',
    ],
)
def test_bijectors_under_jit_agree_with_their_operations_one_by_one(name):
    """At the size of images; `benchmarks.under_jit` has all of them and the models."""
    found = under_jit.compare(*under_jit.bijector(name, 784, 128), {'as it is': {}})
    assert found['as it is'] < 1e-4


def test_the_trainer_sets_the_same_flag_for_the_same_version():
    """It does so by words of its own, since importing `flows` loads JAX."""
    assert (environment.FAULTY_JAXLIB, environment.XLA_FLAG) == (compiler.VERSION, compiler.NAME)
