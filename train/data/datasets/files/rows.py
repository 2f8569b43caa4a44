"""The rows of a table as they are trained on: float32, categories as 0, 1, ..."""

from collections.abc import Iterator, Sequence

import numpy as np

from train.data.datasets.files.reading import Reader
from train.data.datasets.files.values import Place, Values, as_categories, as_numbers
from train.data.table import Column


def rows(reader: Reader, columns: Sequence[Column]) -> Iterator[np.ndarray]:
    """Blocks (n, D) of some columns; UserError for a cell that a column cannot hold."""
    file, count = reader.path.name, 0
    for block in reader.blocks([column.name for column in columns]):
        coded = [
            _coded(values, column, Place(file, column.name, count + 1))
            for values, column in zip(block, columns, strict=True)
        ]
        if len(coded[0]):
            yield np.column_stack(coded).astype(np.float32)
        count += len(coded[0])


def _coded(values: Values, column: Column, place: Place) -> np.ndarray:
    if not column.categories:
        return as_numbers(values, place)
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = as_categories(values, place)
    codes = pc.index_in(texts, pa.array(column.categories))
    if codes.null_count:
        row = codes.is_null().index(True).as_py()
        known = ', '.join(column.categories[:10])
        found = repr(texts[row].as_py())
        raise place.refused(
            row, f'be a category that training met, {known}', found, 'drop that row'
        )
    return codes.to_numpy(zero_copy_only=False)
