"""What the commands share: the environment, flags that fail in one sentence, exit codes."""

import functools
import os
import re
import signal
import sys
from collections.abc import Callable
from logging import INFO, Formatter, LogRecord
from typing import Any, NoReturn

from absl import app, flags, logging

from train.errors import NonFiniteError, SignalledError, StoppedError, UserError
from train.runtime.environment import CONFIGS

Main = Callable[[list[str]], None]
HELP = {'--help', '-help', '-h', '--helpshort'}


def run(main: Main, *, takes_arguments: bool = False) -> None:
    """Run `main(argv)` as the command of this process and exit with its code.

    What a user can mend is printed as one sentence on stderr: exit code 1, 2 for flags, 3 where numbers broke, 4 where
    another process was lost, 128 + signal after a requested stop. --verbosity=1 shows what caused the sentence.
    """
    for number in signal.Signals:
        # By name, for Windows has no SIGHUP.
        if number.name in ('SIGTERM', 'SIGHUP') and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _leave)
    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    logging.get_absl_handler().addFilter(_worth_reading)
    logging.get_absl_handler().setFormatter(_Plain())
    parse = functools.partial(_parse, takes_arguments=takes_arguments)
    sys.unraisablehook = _unraisable
    try:
        app.run(lambda argv: sys.exit(_guarded(main, argv)), flags_parser=parse)
    except SignalledError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


def _leave(number: int, frame: Any) -> None:
    """End with one sentence on a signal that comes outside of training; a second one ends at once."""
    del frame
    signal.signal(number, signal.SIG_DFL)
    raise SignalledError(signal.Signals(number))


def config_of(holder: flags.FlagHolder) -> tuple[Any, str]:
    """(frozen config, name of its file) of a config flag.

    Raises UserError where the file is missing or was not named, and for fields that the model does not have.
    """
    import ml_collections
    from ml_collections import config_flags

    from train import config as defaults

    flag = flags.FLAGS[holder.name]
    if not flag.present:
        raise UserError('--config must name a config file; try --config=configs/mnist.py.')
    name = config_flags.get_config_filename(flag)
    try:
        config = ml_collections.FrozenConfigDict(holder.value)
    except OSError as error:
        raise UserError(
            f'--config must name a config file, or one of those that --list prints, found none at {name}; try '
            '--config=mnist.'
        ) from error
    defaults.check_fields(config, given=config_flags.get_override_values(flag))
    return config, name


class _Plain(Formatter):
    """What happens as it is, what is wrong with its level before it; no time, thread or line of code."""

    def format(self, record: LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno <= INFO else f'{record.levelname.capitalize()}: {text}'


def _worth_reading(record: LogRecord) -> bool:
    """Drop what libraries tell of each of their own steps, and Orbax's tracebacks; their warnings stay.

    Orbax raises what its threads met again where a run waits for a save, which says it in one sentence.
    """
    own_step = re.search(
        r'site-packages/(orbax|jax|matplotlib|tensorflow_datasets)/', record.pathname
    )
    traceback = record.exc_info and '/orbax/' in record.pathname
    return not traceback and bool(record.levelno > INFO or not own_step)


def _unraisable(unraisable: Any) -> None:
    """Pass on what cannot be raised, but for what an event loop of Orbax left behind when its save failed."""
    closed = isinstance(unraisable.exc_value, RuntimeError) and 'Event loop is closed' in str(
        unraisable.exc_value
    )
    if not closed:
        sys.__unraisablehook__(unraisable)


def _guarded(main: Main, argv: list[str]) -> int:
    try:
        main(argv)
    except (UserError, NonFiniteError, StoppedError) as error:
        if error.__cause__ is not None:
            logging.debug('The cause of what is said below:', exc_info=error.__cause__)
        print(error, file=sys.stderr)
        if 'jax' in sys.modules:  # without it there are no other processes
            from train.runtime import processes

            processes.leave(error.exit_code)
        return error.exit_code
    except OSError as error:
        print(f'A file could not be read or written: {error}.', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('Interrupted; the checkpoints that are there stay usable.', file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _parse(argv: list[str], *, takes_arguments: bool) -> list[str]:
    """Parse flags; a config field or value that does not exist ends the process with one sentence."""
    if HELP.intersection(argv):
        print(_help())
        sys.exit()
    try:
        _use_plugins(argv)
        rest = flags.FLAGS(_with_config_file(argv))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except AttributeError as error:
        _refuse(_renamed(argv) or f'The config has no such field: {_last_line(error)}')
    except SyntaxError as error:
        _refuse(f'--config must name a Python file; found {error}.')
    except (flags.Error, TypeError, ValueError, KeyError, OSError) as error:
        _refuse(_last_line(error))
    if len(rest) > 1 and not takes_arguments:
        _refuse(f'Flags look like --name=value; found {rest[1]!r}.')
    return rest


def _help() -> str:
    """What a command does, its flags and, where it takes a config, the config's fields."""
    from train.settings import listing

    parts = [
        (sys.modules['__main__'].__doc__ or '').strip(),
        flags.FLAGS.main_module_help().strip(),
    ]
    return '\n\n'.join([*parts, *([listing.config_fields()] if 'config' in flags.FLAGS else [])])


def _with_config_file(argv: list[str]) -> list[str]:
    """The command line with the path of the package's config for `mnist`, for `configs/mnist.py` where that is not."""
    argv = list(argv)
    for place, argument in enumerate(argv):
        flag, _, value = argument.rpartition('=')
        if flag not in ('-config', '--config') and argv[place - 1] not in ('-config', '--config'):
            continue
        path, colon, variant = value.partition(':')
        own = CONFIGS / f'{path.removeprefix("configs/").removesuffix(".py")}.py'
        if not os.path.isfile(path) and own.is_file():
            argv[place] = f'{flag}{"=" if flag else ""}{own}{colon}{variant}'
    return argv


def _use_plugins(argv: list[str]) -> None:
    """Make plug-ins that the command line names known before it is parsed: it may set fields of theirs."""
    named = re.findall(r'^--?config\.(model|dataset)[=\n](.*:.*)', '\n'.join(argv), re.M)
    if named:
        from train import plugins

        plugins.use(dict(named))


def _renamed(argv: list[str]) -> str:
    """One sentence on the first field of a command line that has another name today, '' if there is none."""
    from train.config import RENAMED

    for name in re.findall(r'^--?config\.(\w+)', '\n'.join(argv), re.M):
        if name in RENAMED:
            names = ' or '.join(f'config.{new}' for new in RENAMED[name])
            return f'config.{name} is called {names} now; see --help for all fields.'
    return ''


def _refuse(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(2)


def _last_line(error: BaseException) -> str:
    """The message without what a library has put before it, as one line."""
    text = str(error.args[0] if error.args else error)
    if 'Traceback' in text:
        text = text.strip().splitlines()[-1]
    return ' '.join(text.replace('\\n', ' ').replace('\\', '').replace("'", '').split())
