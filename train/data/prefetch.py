"""Read ahead of the consumer, in one background thread."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

END = object()
Item = TypeVar('Item')


def prefetch(iterable: Iterable[Item], size: int = 2) -> Iterator[Item]:
    """Iterate over `iterable` from a thread that keeps at most `size` items ready.

    An exception of the iterable reaches the consumer in its place in the order. Closing the
    generator, or dropping it, stops the thread.
    """
    items: queue.Queue = queue.Queue(maxsize=size)
    stopped = threading.Event()
    thread = threading.Thread(target=_fill, args=(iterable, items, stopped), daemon=True)
    thread.start()
    try:
        while True:
            item, error = items.get()
            if error is not None:
                raise error
            if item is END:
                return
            yield item
    finally:
        stopped.set()
        thread.join()


def _fill(iterable: Iterable, items: queue.Queue, stopped: threading.Event) -> None:
    try:
        for item in iterable:
            if not _put(items, (item, None), stopped):
                return
        _put(items, (END, None), stopped)
    except BaseException as error:  # handed to the consumer, who raises it
        _put(items, (None, error), stopped)


def _put(items: queue.Queue, item: Any, stopped: threading.Event) -> bool:
    """Wait for room, but no longer than the consumer is there; True if the item was taken."""
    while not stopped.is_set():
        try:
            items.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
