"""A small process beside each process of a run that says what happened when that one ends without a word.

After a peer has died, JAX's runtime may end a process while it waits for the peer's part of a computation, and nothing
in that process can print any more. `python -m train.runtime.sentinel FOLDER NAME` reads its standard input to the
end, and prints one sentence unless `DONE` came first.
"""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator

from etils import epath

from train.runtime.workdir import steps

DONE = b'done'


def last_checkpoint(workdir: epath.PathLike) -> int | None:
    """The newest step on disk, or None."""
    return max(steps(epath.Path(workdir)), default=None)


@contextlib.contextmanager
def watching(workdir: epath.PathLike, name: str) -> Iterator[Callable[[], None]]:
    """Have a sentinel beside this process, which `name` describes, as long as the context is open.

    The context is a function that tells it that all has been said.
    """
    command = [sys.executable, '-m', 'train.runtime.sentinel', str(workdir), name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:

        def dismiss() -> None:
            assert process.stdin is not None  # PIPE
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(DONE)
                process.stdin.close()

        try:
            yield dismiss
        finally:
            dismiss()


def main() -> None:
    """Wait for the end of the process at the other end of standard input."""
    workdir, name = sys.argv[1:]
    if sys.stdin.buffer.read() != DONE:
        print(
            f'{name} was ended from outside or by its runtime, as happens when another process is lost; the last '
            f'checkpoint is of step {last_checkpoint(workdir)}, and the same command goes on from there.',
            file=sys.stderr,
        )


if __name__ == '__main__':
    main()
