"""What the files about the package say agrees."""

import pathlib
import re
import tomllib

import train

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']


def requirements():
    """Every requirement of the package and of the extras that the tests run with."""
    extras = PROJECT['optional-dependencies']
    lines = [*PROJECT['dependencies']]
    for name in ('cloud', 'data', 'docs', 'test'):
        lines += extras[name]
    return [line for line in lines if not line.startswith(PROJECT['name'])]


def test_version_is_one():
    citation = (ROOT / 'CITATION.cff').read_text()
    assert f'\nversion: {train.__version__}\n' in citation
    assert f'\n## {train.__version__} - ' in (ROOT / 'CHANGELOG.md').read_text()


def test_licence_is_one():
    assert PROJECT['license'] == 'Apache-2.0'
    assert '\nlicense: Apache-2.0\n' in (ROOT / 'CITATION.cff').read_text()
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()


def test_every_dependency_has_its_tested_version_and_bounds():
    tested = (ROOT / 'constraints.txt').read_text().lower().replace('_', '-')
    for line in requirements():
        name = re.match(r'[\w-]+', line).group().lower().replace('_', '-')
        assert re.search(rf'^{name}==', tested, re.M), name
        assert re.search(r'>=[\d.]+,<[\d.]+', line), line
