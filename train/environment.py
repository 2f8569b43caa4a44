"""What has to stand in the process environment before JAX and TensorFlow load."""

import os
import re


def prepare():
    """Quieten TensorFlow's C++ log, and give XLA's CPU client the threads it needs."""
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
    # A loop or a branch of a program holds a thread of the pool while it waits for what is in it: with one thread a
    # core a training step has half the cores for its matrix products.
    threads = 2 * (os.cpu_count() or 1)
    forced = re.search(r'host_platform_device_count=(\d+)', os.environ.get('XLA_FLAGS', ''))
    if forced:
        # With fewer than two threads a device, collectives of several host devices can deadlock.
        threads = max(threads, 3 * int(forced.group(1)))
    os.environ.setdefault('NPROC', str(threads))
