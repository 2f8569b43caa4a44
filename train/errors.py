"""How a run ends when it does not end well; each kind has an exit code of its own."""

import signal


class UserError(Exception):
    """What a user can mend, in one sentence: the rule, the value found, the remedy."""

    exit_code = 1


class NonFiniteError(Exception):
    """The numbers broke: a term or a gradient was not finite at `step`."""

    exit_code = 3

    def __init__(self, step: int, message: str) -> None:
        super().__init__(message)
        self.step = step


class SignalledError(BaseException):
    """A signal came while no training was there to save; nothing in between takes it for an error of its own.

    exit_code: 128 + the signal's number, as the shell has it.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(
            f'Stopped by {number.name}; what was saved before is on disk and the same command goes on from there.'
        )
        self.exit_code = 128 + number


class StoppedError(Exception):
    """The run was told to stop by a signal, after its state was saved.

    step: the step that is saved; exit_code: 128 + the signal's number, as the shell has it.
    """

    def __init__(self, step: int, exit_code: int) -> None:
        super().__init__(
            f'Stopped by a signal; step {step} is saved and the same command goes on from there.'
        )
        self.step = step
        self.exit_code = exit_code
