"""What a person sees while a run trains: a bar on a terminal or in a notebook, plain lines elsewhere."""

import sys
from typing import Self

from tqdm.auto import tqdm


class Progress:
    """Counts steps; a context manager. Silent unless `show`."""

    def __init__(self, total: int, start: int, *, show: bool) -> None:
        watched = show and (sys.stderr.isatty() or 'ipykernel' in sys.modules)
        self._bar = tqdm(total=total, initial=start, unit='step', disable=not watched)
        self._show = show

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def at(self, step: int) -> None:
        """Move the bar to a step."""
        self._bar.update(step - self._bar.n)

    def line(self, text: str) -> None:
        """Print one line without breaking the bar."""
        if self._show:
            self._bar.write(text, file=sys.stdout)
            sys.stdout.flush()
