"""What has to stand in the process environment before JAX and TensorFlow load."""

import os
import re


def prepare():
    """Quieten TensorFlow's C++ log, and give forced host devices the threads their collectives need."""
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
    forced = re.search(r'host_platform_device_count=(\d+)', os.environ.get('XLA_FLAGS', ''))
    if forced:
        # With fewer than two threads a device, collectives of several host devices can deadlock.
        os.environ.setdefault('NPROC', str(max(16, 4 * int(forced.group(1)))))
