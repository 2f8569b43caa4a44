"""Sides of a benchmark that run in processes of their own, by turns. Needs nothing but Python itself."""

import contextlib
import subprocess
import sys


class Child:
    """A process that does its work once whenever it is called, see `serve`; a side for `timing.by_turns`."""

    def __init__(self, command, environment=None):
        self._command = command
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answer('ready')

    def __call__(self, part='run'):
        """Have the work done once, or the part of it that `serve_parts` has under this name."""
        print(part, file=self._process.stdin, flush=True)
        self._answer('done')

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _answer(self, expected):
        for line in self._process.stdout:
            if line.strip() == expected:
                return
        self.close()
        code = self._process.returncode
        raise RuntimeError(f'{self._command} ended with code {code} before it was {expected}.')


@contextlib.contextmanager
def children(commands):
    """name -> Child for name -> (command, environment or None), ended at the end."""
    with contextlib.ExitStack() as stack:
        started = {}
        for name, arguments in commands.items():
            started[name] = stack.enter_context(contextlib.closing(Child(*arguments)))
        yield started


def serve(function):
    """In the child: call the function once to warm up, then once for every line from the parent."""
    function()
    print('ready', flush=True)
    for _ in sys.stdin:
        function()
        print('done', flush=True)


def serve_parts(functions):
    """In the child, as `serve`, the one of name -> function that the parent's line names."""
    for function in functions.values():
        function()
    print('ready', flush=True)
    for line in sys.stdin:
        functions[line.strip()]()
        print('done', flush=True)
