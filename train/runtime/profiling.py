"""A profile of a few training steps, for TensorBoard's profile plug-in."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
from etils import epath


class Profile:
    """Traces `steps` steps of an epoch, from the second call of a run on, into a folder; nothing where `steps` is 0."""

    def __init__(self, folder: epath.Path, steps: int) -> None:
        self._folder = folder
        self._left = 0 if folder.exists() else steps
        self._calls = 0
        self._tracing = False

    @contextlib.contextmanager
    def step(self, step: int) -> Iterator[None]:
        """Around one device program that starts at `step`."""
        self._calls += 1
        if self._left > 0 and self._calls == 2:
            jax.profiler.start_trace(str(self._folder))
            self._tracing = True
        with jax.profiler.StepTraceAnnotation('train', step_num=step):
            yield

    def advance(self, steps: int, metrics: Any) -> None:
        """Count the steps of a call, which is done when its metrics are; the trace ends when enough are in it."""
        if self._tracing:
            self._left -= steps
            if self._left <= 0:
                jax.block_until_ready(metrics)
                self.stop()

    def stop(self) -> None:
        """End the trace if one is running."""
        if self._tracing:
            jax.profiler.stop_trace()
            self._tracing = False
            self._left = 0
