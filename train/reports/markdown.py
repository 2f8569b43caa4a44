"""Tables as Markdown, and Markdown of tables and paragraphs as HTML."""

import html
from collections.abc import Iterable, Sequence
from typing import Any


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: bool = False) -> str:
    """A table; cells are anything with a str. numbers: all columns but the first are set to the right."""
    rule = '---:' if numbers else '---'
    lines: list[Sequence[Any]] = [columns, ['---', *[rule] * (len(columns) - 1)], *rows]
    return '\n'.join('| ' + ' | '.join(str(cell) for cell in line) + ' |' for line in lines)


def to_html(text: str) -> str:
    """The blocks of a text, tables or paragraphs, as HTML."""
    return '\n'.join(_block(block) for block in text.strip().split('\n\n'))


def _block(block: str) -> str:
    if not block.startswith('|'):
        return f'<p>{html.escape(block)}</p>'
    lines = [_cells(line) for line in block.splitlines()]
    rows = ''.join(
        '<tr>' + ''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in line) + '</tr>'
        for tag, line in [('th', lines[0]), *(('td', line) for line in lines[2:])]
    )
    return f'<table>{rows}</table>'


def _cells(line: str) -> list[str]:
    return line.removeprefix('| ').removesuffix(' |').split(' | ')
