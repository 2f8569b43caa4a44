"""Tables as text: a line of names, and cells with commas, semicolons or tabs between them."""

import csv
import os
import pathlib
import re
from collections.abc import Iterator, Sequence

from train.data.datasets.files.paths import refused, unreadable
from train.data.datasets.files.values import Values
from train.errors import UserError

DELIMITERS = ',;\t'
MOST_NAMES = 65_536
LONGEST_LINE = 1 << 24  # bytes of the line of names
BLOCK = 1 << 22  # bytes that are read at once


class Delimited:
    """A `.csv`, `.tsv` or `.txt`. Where its first line is numbers it is a row, and the columns are called 0, 1, ..."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        try:
            with open(path, 'rb') as file:
                line = file.readline(LONGEST_LINE + 1)
        except OSError as error:
            raise unreadable(path, error) from error
        if len(line) > LONGEST_LINE:
            raise self._first_line(
                f'be at most {LONGEST_LINE} bytes long', 'more', 'keep the columns that are needed'
            )
        text = self._decoded(line).strip('\r\n')
        self._delimiter = max(DELIMITERS, key=text.count)
        first = self._cells(text)
        self._headless = self._are_numbers(first)
        self.names = tuple(map(str, range(len(first)))) if self._headless else tuple(first)
        self._block = max(BLOCK, 8 * len(line))

    def blocks(self, columns: Sequence[str]) -> Iterator[list[Values]]:
        """The rows block by block: of each column an Arrow array of texts."""
        import pyarrow as pa
        from pyarrow import csv as arrow

        try:
            with arrow.open_csv(
                self.path,
                arrow.ReadOptions(
                    use_threads=False,
                    block_size=self._block,
                    skip_rows=0 if self._headless else 1,
                    column_names=list(self.names),
                ),
                arrow.ParseOptions(delimiter=self._delimiter),
                arrow.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()),
                    include_columns=list(columns),
                    null_values=[],
                    strings_can_be_null=False,
                ),
            ) as reader:
                for batch in reader:
                    yield batch.columns
        except (pa.ArrowInvalid, OSError) as error:
            if 'Empty CSV file' in str(error):
                return
            raise self._ragged(str(error)) or unreadable(self.path, error) from error

    def _ragged(self, said: str) -> UserError | None:
        """What Arrow said, of a line with other cells than the first one; None if it said something else."""
        found = re.search(r'Row #(\d+): Expected (\d+) columns, got (\d+)', said)
        if not found:
            return None
        line, expected, cells = found.groups()
        return refused(
            self.path,
            f'have {expected} cells in each line, as many as its first line',
            f'{cells} in line {line}',
            'correct that line; a cell with the delimiter in it needs quotes',
        )

    def _first_line(self, rule: str, found: str, remedy: str) -> UserError:
        return UserError(f'the first line of {self.path} must {rule}; found {found}: {remedy}.')

    def _decoded(self, line: bytes) -> str:
        try:
            text = line.decode('utf-8-sig')
        except UnicodeDecodeError:
            text = '\0'
        if '\0' in text:
            raise self._first_line('be UTF-8 text', repr(line[:20]), 'save the table as such text')
        if not text.strip():
            size = os.path.getsize(self.path)
            raise self._first_line(
                'name the columns', f'none in {size} bytes', 'put a line of names before the rows'
            )
        return text

    def _cells(self, text: str) -> list[str]:
        """The cells of the first line."""
        if text.count('"') % 2:
            raise self._first_line(
                'close its quotes', repr(text[-60:]), 'add the quote that is missing'
            )
        csv.field_size_limit(LONGEST_LINE)
        cells = [cell.strip() for cell in next(csv.reader([text], delimiter=self._delimiter))]
        if len(cells) > MOST_NAMES:
            raise self._first_line(
                f'name at most {MOST_NAMES} columns', str(len(cells)), 'keep those that are needed'
            )
        return cells

    def _are_numbers(self, cells: list[str]) -> bool:
        """Whether the first line is a row: all numbers, and not all of them whole, which might be years as names.

        Names may be 0, 1, ..., as pandas and `train.sample` write them where columns have none.
        """
        if cells == [str(place) for place in range(len(cells))]:
            return False
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            return False
        if all(number.is_integer() for number in numbers):
            raise self._first_line(
                'name the columns',
                f'whole numbers, {", ".join(cells[:5])}',
                'put a line of names before the rows',
            )
        return True
