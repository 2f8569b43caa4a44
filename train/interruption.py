"""Requests to stop from outside: SIGTERM, SIGINT and the platform's preemption notice."""

import signal

from train import devices as on


class Interruption:
    """A context manager that turns the signals into a flag, so that a run stops between two device programs."""

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self):
        self._received = None
        self._previous = {}

    def __enter__(self):
        for number in self.SIGNALS:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def requested(self):
        """Whether any process of the run was told to stop."""
        return on.all_processes_any(self._received is not None)

    @property
    def exit_code(self):
        """128 + the signal's number, the shell's convention; SIGTERM's where another process received it."""
        return 128 + (self._received or signal.SIGTERM)

    def _note(self, number, frame):
        del frame
        if self._received == number == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = number
