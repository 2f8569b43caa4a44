"""Requests to stop."""

import concurrent.futures
import os
import signal

import pytest

from train.runtime.interruption import Interruption


@pytest.mark.parametrize('number', Interruption.SIGNALS)
def test_signal_is_noted_and_its_handler_put_back(number):
    before = signal.signal(number, signal.SIG_DFL)  # ignored, where the tests run behind nohup
    try:
        with Interruption() as interruption:
            assert not interruption.requested()
            os.kill(os.getpid(), number)
            assert interruption.requested()
            assert interruption.exit_code == 128 + number
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_run_that_outlives_its_terminal_goes_on():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interruption.requested()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_training_in_another_thread_takes_no_signals():
    def requested():
        with Interruption() as interruption:
            return interruption.requested()

    with concurrent.futures.ThreadPoolExecutor(1) as other:
        assert other.submit(requested).result() is False
