"""Run a command of `train` and leave in a file what passed until its first step, and until its end.

    python -P benchmarks/tools/started_command.py FILE end train.main --config=configs/digits.py:smoke ...

With `step` in the place of `end` the command leaves after its first call of training steps. FILE gets, for each of
MARKS, {"cpu": seconds of all threads, "wall": seconds since the process began, "programs": how many were compiled or
taken from the cache, "compilation": seconds of lowering and of that}; and "within", the CPU seconds of checkpoints and
of pictures in the whole command.
The package `train` is the one that PYTHONPATH names, of whatever tree.
"""

import atexit
import functools
import json
import pathlib
import runpy
import sys
import time

import jax
import psutil

from train.runtime.checkpoint import Checkpoints
from train.step.parallel import OneSeed
from train.training import conclusion, loop, trainer

MARKS = ('imports', 'data', 'state', 'first step', 'end')
COMPILATION = '/jax/core/compile/'


class Clock:
    """What has passed, at each mark when it is first met."""

    def __init__(self):
        self._begun = psutil.Process().create_time()
        self._programs, self._compilation = 0, 0.0
        self.marks, self.within = {}, {}

    def listen(self, event, seconds, **_):
        """To what JAX tells of its compilations; traces contain one another and are left out."""
        if event.startswith(COMPILATION) and not event.endswith('trace_duration'):
            self._programs += event.endswith('backend_compile_duration')
            self._compilation += seconds

    def mark(self, name):
        """What has passed until now."""
        now = {'cpu': time.process_time(), 'wall': time.time() - self._begun}
        counted = {'programs': self._programs, 'compilation': self._compilation}
        self.marks.setdefault(name, {**now, **counted})

    def marked(self, function, before=None, after=None):
        """The function, with marks where it is entered and left."""

        @functools.wraps(function)
        def call(*arguments, **named):
            if before:
                self.mark(before)
            result = function(*arguments, **named)
            if after:
                self.mark(after)
            return result

        return call

    def summed(self, function, name):
        """The function, its CPU seconds added to `within`."""

        @functools.wraps(function)
        def call(*arguments, **named):
            begun = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                passed = time.process_time() - begun
                self.within[name] = self.within.get(name, 0.0) + passed

        return call


def watch(clock, until):
    """Put the clock's marks into the trainer; see the module for `until`."""
    jax.monitoring.register_event_duration_secs_listener(clock.listen)
    trainer.run = clock.marked(trainer.run, before='imports')
    loop.Run.start = clock.marked(loop.Run.start, before='data', after='state')
    for name in ('save', 'wait', 'restore_latest', 'restore_best'):
        setattr(Checkpoints, name, clock.summed(getattr(Checkpoints, name), 'checkpoints'))
    conclusion._pictures = clock.summed(conclusion._pictures, 'pictures')
    train_call = OneSeed.train_call

    def waited_for(layout, step):
        program = train_call(layout, step)

        def call(*rows):
            result = jax.block_until_ready(program(*rows))
            clock.mark('first step')
            if until == 'step':
                sys.exit()
            return result

        return call

    OneSeed.train_call = waited_for


def main():
    """Watch, then become the command."""
    file, until, module, *arguments = sys.argv[1:]
    clock = Clock()
    watch(clock, until)

    def leave():
        clock.mark('end')
        pathlib.Path(file).write_text(json.dumps({**clock.marks, 'within': clock.within}))

    atexit.register(leave)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name='__main__', alter_sys=True)


if __name__ == '__main__':
    main()
