"""Run a command of `train` and leave in a file how long its start and its compilations took.

    python -m benchmarks.tools.timed_command FILE train.main --config=configs/toy.py ...

FILE gets {"start": seconds from the start of the process to the first function that JAX traces, "compilation": seconds
of lowering and compiling all of them}.
"""

import atexit
import json
import pathlib
import runpy
import sys
import time

import jax
import psutil

COMPILATION = '/jax/core/compile/'


def main():
    """Listen to the compilations, then become the command."""
    file, module, *arguments = sys.argv[1:]
    begun = psutil.Process().create_time()
    found = {'start': None, 'compilation': 0.0}

    def listen(event, seconds, **_):
        if event.startswith(COMPILATION):
            if found['start'] is None:
                found['start'] = time.time() - seconds - begun
            if not event.endswith('trace_duration'):  # traces contain one another
                found['compilation'] += seconds

    jax.monitoring.register_event_duration_secs_listener(listen)
    atexit.register(lambda: pathlib.Path(file).write_text(json.dumps(found)))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name='__main__', alter_sys=True)


if __name__ == '__main__':
    main()
