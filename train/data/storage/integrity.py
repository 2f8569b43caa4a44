"""Whether a cache still holds what was written into it."""

import threading

from train.data.storage import arrays
from train.data.storage.cache import Cache
from train.errors import UserError


class Comparison:
    """The files of a cache against the digests on record, in a thread of its own from now on.

    Every run reads all bytes once (SHA-256, about 1 GB/s), whatever the dates of the files say: a copy changes those,
    and a failing disk does not. The start does not wait for it; `wait` is called before anything is kept that the rows
    went into.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._compare, name='comparison', daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return once all files are compared; raises UserError where one holds other bytes."""
        self._thread.join()
        if self._problem is not None:
            raise UserError(
                f'the cache {self._cache.directory} must hold what was written into it, and {self._problem}: '
                'delete that folder and run the same command again.'
            )

    def _compare(self) -> None:
        for split, facts in self._cache.splits.items():
            try:
                same = arrays.is_unchanged(self._cache.directory, split, facts)
            except (OSError, ValueError) as error:
                self._problem = f'its {split} split cannot be read ({error})'
                return
            if not same:
                self._problem = f'its {split} split has other bytes'
                return
