"""Samples of a run on a table, in the columns and units of its file."""

from typing import cast

import jax
import numpy as np

from train.contract import Model, Variables
from train.data.preprocessing import Preprocessing
from train.data.preprocessing.column_contexts import ColumnsContext
from train.data.table import Column, Table
from train.errors import UserError
from train.figures import showing
from train.step.randomness import sample_blocks
from train.tabular.output import Columns

Trained = tuple[Model, Variables, Preprocessing]


def draw(
    trained: Trained, table: Table, key: jax.Array, number: int, context: str | None
) -> Columns:
    """`number` samples as columns, those of the context behind them.

    context: the value of each of its columns, as a user writes them; None: as training rows have them.
    """
    if not trained[0].is_onto:
        raise UserError(trained[0].warning)
    rows = np.empty((number, len(table.used)), np.float32)
    asked = None
    if context is not None:
        asked = cast(ColumnsContext, trained[2].context).read_columns(context)
    for block, block_key in sample_blocks(key, number):
        rows[block] = _rows(trained, block_key, len(rows[block]), asked)
    return {column.name: _values(column, rows[:, place]) for place, column in enumerate(table.used)}


def _rows(trained: Trained, key: jax.Array, number: int, asked: np.ndarray | None) -> np.ndarray:
    """(n, D + k): samples, and their contexts as columns, those that are asked for (k,) or drawn ones."""
    drawn = trained[2].context
    if not isinstance(drawn, ColumnsContext):
        return np.asarray(showing.in_data_space(*trained, key, number))
    key, own_key = jax.random.split(key)
    columns = drawn.draw_columns(own_key, number) if asked is None else asked[None]
    behind = np.broadcast_to(columns, (number, columns.shape[1]))
    x = showing.in_data_space(*trained, key, number, drawn.of(behind))
    return np.column_stack([x, behind])


def _values(column: Column, values: np.ndarray) -> np.ndarray | list[str]:
    if not column.categories:
        return values.astype(np.float32)
    codes = np.clip(np.floor(values), 0, len(column.categories) - 1).astype(int)
    return [column.categories[code] for code in codes]
