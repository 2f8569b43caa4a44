"""The import graph, read from the source: no circle, arrows one way, imports at the top of their files."""

import ast
import functools
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# What each package may import of the project.
ARROWS = {
    'flows': {'flows'},
    'vaes': {'flows', 'vaes'},
    'train': {'flows', 'train', 'vaes'},
    'configs': {'configs', 'flows', 'train', 'vaes'},
    'benchmarks': {'benchmarks', 'configs', 'flows', 'train', 'vaes'},
}
TENSORFLOW = {'tensorflow', 'tensorflow_datasets'}
UNIX = {'fcntl', 'grp', 'pwd', 'resource', 'termios'}
# Modules with first-party imports inside functions, and what that keeps out of the start.
MODEL = 'the libraries of every model, where --help and --list build none'
COMMAND = 'JAX and Flax, before the flags of the command are read'
LATE = {
    'train': 'Flax and Orbax, where only a submodule is wanted',
    'train.cli': COMMAND,
    'train.compile': COMMAND,
    'train.evaluate': COMMAND,
    'train.export': COMMAND,
    'train.main': COMMAND,
    'train.models': 'Flax, which the contract of models imports',
    'train.models.field_flows': MODEL,
    'train.models.flows': MODEL,
    'train.models.vaes': MODEL,
    'train.prepare': COMMAND,
    'train.report': COMMAND,
    'train.sample': COMMAND,
    'train.score': COMMAND,
    'train.study': COMMAND,
    'train.verify': COMMAND,
    'train.data.datasets.maf.acquire': 'tensorflow-datasets, but for the one preparation',
    'benchmarks.importance': 'flags that train.evaluate defines as it is imported',
    'benchmarks.nice': 'JAX, but for the child that is its side',
}


class Import(NamedTuple):
    """One imported name; `late` inside a function."""

    module: str
    name: str
    late: bool


@functools.cache
def modules() -> dict[str, pathlib.Path]:
    """Every module of the packages by its dotted name."""
    found = {}
    for package in ARROWS:
        for path in (ROOT / package).rglob('*.py'):
            parts = path.relative_to(ROOT).with_suffix('').parts
            found['.'.join(part for part in parts if part != '__init__')] = path
    return found


def _statements(node: ast.AST, late: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, late
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _statements(child, late or inside)


@functools.cache
def imports(module: str) -> list[Import]:
    """The imports of a module, those inside functions included; a name from a package may be a module."""
    found = []
    for statement, late in _statements(ast.parse(modules()[module].read_text())):
        if isinstance(statement, ast.Import):
            found += [Import(alias.name, '', late) for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, f'{module} imports by a relative name'
            found += [Import(str(statement.module), alias.name, late) for alias in statement.names]
    return found


@functools.cache
def targets(module: str) -> frozenset[str]:
    """The modules of the project that a module imports."""
    named = {
        f'{found.module}.{found.name}'
        if f'{found.module}.{found.name}' in modules()
        else found.module
        for found in imports(module)
    }
    return frozenset(named & modules().keys())


@functools.cache
def reached(module: str) -> frozenset[str]:
    """The modules that a module imports, directly or by others."""
    found: set[str] = set()
    waiting = set(targets(module))
    while waiting:
        found |= waiting
        waiting = set().union(*map(targets, waiting)) - found
    return frozenset(found)


def test_no_module_imports_itself_by_others():
    circles = {
        frozenset(other for other in reached(module) if module in reached(other))
        for module in modules()
        if module in reached(module)
    }
    assert circles == set()


@pytest.mark.parametrize('package', ARROWS)
def test_arrows_between_packages_go_one_way(package):
    ours = {*ARROWS, 'tests'}
    found = {
        (module, found.module)
        for module in modules()
        for found in imports(module)
        if module.split('.')[0] == package and found.module.split('.')[0] in ours - ARROWS[package]
    }
    assert found == set()


def test_tensorflow_is_imported_for_data_only_and_late():
    found = {
        (module, found.late)
        for module in modules()
        for found in imports(module)
        if found.module.split('.')[0] in TENSORFLOW
    }
    assert found == {('train.data.acquisition.tfds_library', True)}


def test_packages_import_nothing_that_windows_lacks():
    ours = (module for module in modules() if not module.startswith('benchmarks'))
    assert not {(m, found.module) for m in ours for found in imports(m) if found.module in UNIX}


def test_imports_inside_functions_are_those_that_keep_something_heavy_out():
    found = {
        module
        for module in modules()
        for found in imports(module)
        if found.late and found.module.split('.')[0] in ARROWS
    }
    assert found == set(LATE)


def test_scikit_learn_which_is_slow_to_import_is_needed_for_its_own_tables_alone():
    ours = (module for module in modules() if not module.startswith('benchmarks'))
    found = {m for m in ours for found in imports(m) if found.module.split('.')[0] == 'sklearn'}
    assert found == {'train.data.datasets.files.bundled'}
