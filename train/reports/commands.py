"""The command that repeats a run or a study."""

import ast
import contextlib
import functools
import pathlib
import re
import runpy
import shlex
from collections.abc import Mapping, Set
from typing import Any

from train import models
from train.config import completed, flat
from train.runtime.environment import CONFIGS
from train.settings.fields import FIELDS

Fields = dict[str, Any]
# What changes how a run goes or where it is measured; the other fields that define no result change neither.
SHOWN_FIELDS = {'epochs', 'num_samples', 'importance', 'final_split'}


def command(found: Mapping[str, Any]) -> str:
    """The command that gives a record, see `arguments`."""
    return ' '.join(arguments(found))


def arguments(found: Mapping[str, Any]) -> list[str]:
    """The command that gives a record, and its flags, each as a shell takes it.

    The config is, of those that come with the package, the one that needs fewest overrides; preferred is one of a model
    that the record's model is compared with, and of its dataset.
    """
    program = 'train.study' if 'seeds' in found else 'train.main'
    past = flat(completed(found['config'], 'a record'))
    compared = _compared(past['model'])
    defaults = flat({name: field.default for name, field in FIELDS.items()})
    foreign = {name for name in FIELDS if not models.has(past['model'], name)}
    wanted = past | {name: defaults[name] for name in foreign}
    unimportant = {name for name, field in FIELDS.items() if not field.defines} - SHOWN_FIELDS
    if found.get('num_samples') is None:
        unimportant |= {'num_samples', 'importance'}  # of bounds alone
    choices = []
    for file, fields in _config_files():
        is_rival = fields['model'] in compared
        # Where it is none, fields that the record's model does not have would be refused.
        ignored = unimportant | foreign if is_rival else unimportant
        choices.append((not is_rival, file, _overrides(defaults | fields, wanted, ignored)))
    _, file, changed = min(
        choices, key=lambda choice: (choice[0], 'dataset' in choice[2], len(choice[2]), choice[1])
    )
    flags = [f'--config.{name}={shlex.quote(str(value))}' for name, value in changed.items()]
    return [f'python -m {program}', f'--config={file}', *flags]


def _compared(model: str) -> set[str]:
    """The models that a model is compared with, itself alone where its package is not installed here."""
    return models.family(model) if model in models.MODELS else {model}


@functools.cache
def _config_files() -> list[tuple[str, Fields]]:
    """(file[:variant], its fields) of every config, and of each variant whose name is in its docstring."""
    found, paths = [], sorted(path for path in CONFIGS.glob('*.py') if path.stem != '__init__')
    names = set().union(*map(_names, paths))  # of all: a config may take its variants from another
    for path in paths:
        module, file = runpy.run_path(str(path)), f'configs/{path.name}'
        found.append((file, flat(module['get_config']())))
        for variant in sorted(names.intersection(re.findall(r'\w+', module['__doc__']))):
            with contextlib.suppress(ValueError):  # most names are no variant
                found.append((f'{file}:{variant}', flat(module['get_config'](variant))))
    return found


def _names(path: pathlib.Path) -> set[str]:
    """The texts and keywords in a source, among which are the variants of a config."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    keywords = {node.arg for node in nodes if isinstance(node, ast.keyword)}
    return {name for name in texts | keywords if isinstance(name, str)}


def _overrides(fields: Fields, wanted: Fields, ignored: Set[str]) -> Fields:
    """The wanted fields in which a config differs, but for those to ignore."""
    return {
        name: value
        for name, value in sorted(wanted.items())
        if name not in ignored and value != fields[name]
    }
