"""Tables in Parquet, whose columns have names and types."""

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from train.data.datasets.files.paths import refused, unreadable
from train.data.datasets.files.values import Values

ROWS = 65_536  # that are read at once


class Parquet:
    """A `.parquet`: numbers are numbers, texts and truth values are categories."""

    def __init__(self, path: pathlib.Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self.path = path
        try:
            self._file = parquet.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(path, error) from error
        self.names = tuple(self._file.schema_arrow.names)

    def blocks(self, columns: Sequence[str]) -> Iterator[list[Values]]:
        """The rows block by block: of each column the numbers, float64, or an Arrow array of texts."""
        import pyarrow as pa

        try:
            for batch in self._file.iter_batches(ROWS, columns=list(columns)):
                yield [self._values(batch.column(name), name) for name in columns]
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.path, error) from error

    def _values(self, column: Any, name: str) -> Values:
        import pyarrow as pa
        from pyarrow import types

        kind = column.type
        if types.is_dictionary(kind):
            column, kind = column.dictionary_decode(), kind.value_type
        if types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind):
            return column.cast(pa.string())
        if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
            return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        raise refused(
            self.path,
            'hold numbers, texts and truth values',
            f'{kind} in column {name!r}',
            'convert that column, or leave it out of config.columns',
        )
