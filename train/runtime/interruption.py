"""Requests to stop from outside: SIGTERM, SIGINT, SIGHUP and the platform's preemption notice."""

import os
import signal
import threading
from types import FrameType
from typing import Any, Self

import jax


class Interruption:
    """A context manager that turns a request into an answer of `requested`, so that a run stops between two programs.

    With one process, the first signal is noted and a second SIGINT interrupts at once. With several, JAX's runtime
    receives SIGTERM, on any of them, and lets all stop at the same step. A terminal that goes away is a request too,
    unless the run was started to outlive it, as by nohup. Outside of the main thread Python takes no signals, and none
    is noted.
    """

    # By name, for Windows has no SIGHUP.
    SIGNALS = tuple(
        number for number in signal.Signals if number.name in ('SIGTERM', 'SIGINT', 'SIGHUP')
    )

    def __init__(self) -> None:
        self._received: int | None = None
        self._previous: dict[signal.Signals, Any] = {}
        self._asked = 0

    def __enter__(self) -> Self:
        several = jax.process_count() > 1
        in_main = threading.current_thread() is threading.main_thread()
        for number in self.SIGNALS if in_main else ():
            hangup = number.name == 'SIGHUP'
            if (several and not hangup) or (hangup and signal.getsignal(number) == signal.SIG_IGN):
                continue
            self._previous[number] = signal.signal(number, _terminate if several else self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def requested(self) -> bool:
        """Whether the run was told to stop; with several processes all call this at the same points of the run."""
        if self._received is None and jax.process_count() > 1:
            from jax.experimental import multihost_utils

            # The runtime agrees on one of the next numbers, so none may be left out.
            self._asked += 1
            if multihost_utils.reached_preemption_sync_point(self._asked):
                self._received = signal.SIGTERM
        return self._received is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, the shell's convention; once `requested`."""
        assert self._received is not None
        return 128 + self._received

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._received == number == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = number


def _terminate(number: int, frame: FrameType | None) -> None:
    """Pass a signal on as SIGTERM, which the runtime shares with the other processes."""
    del number, frame
    os.kill(os.getpid(), signal.SIGTERM)
