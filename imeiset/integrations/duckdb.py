"""DuckDB: lists as SQL functions, and the faster way, over a reader of record batches.

Examples
--------
>>> import duckdb
>>> from imeiset.integrations.duckdb import register
>>> con = duckdb.connect()
>>> register(con, "blocked", imeiset.ImeiSet(["490154203237518"]))
>>> con.sql("SELECT blocked('490154203237518'), blocked('352099001761481')").fetchall()
[(True, False)]

Notes
-----
DuckDB calls a function for 2,048 rows at a time and holds the interpreter meanwhile; `screen` takes
whole batches on all cores.
"""

from typing import Any

import numpy as np

from imeiset import Screener
from imeiset._threads import in_order
from imeiset.errors import ExtraMissing

try:
    import duckdb
    import pyarrow as pa
except ModuleNotFoundError as error:
    raise ExtraMissing(str(error), "duckdb", error.name) from None


def register(
    connection: "duckdb.DuckDBPyConnection", name: str, listed: Any, *, malformed: bool | None = None
) -> None:
    """Make SQL functions of a set, a register or a store, for this connection.

    `name(imei)` is BOOLEAN: whether the VARCHAR is in the set, or blacklisted by the register.
    `name_status(imei)` is VARCHAR: what the list says of every row, malformed ones included.

    Parameters
    ----------
    connection
        Where the functions are to be.
    name
        Their name, a word of SQL.
    listed
        A set, a register, a store, or the path of one.
    malformed
        None ends the query with an error at the first malformed or NULL row; False counts them as out, True
        as in.

    Examples
    --------
    >>> con = duckdb.connect()
    >>> register(con, "blocked", imeiset.ImeiSet(["490154203237518"]), malformed=False)
    >>> con.sql("SELECT blocked('n/a'), blocked_status('n/a')").fetchall()
    [(False, 'malformed: not digit')]
    """
    screener = Screener(listed)
    words = pa.array(screener.words)

    def isin(column: Any) -> Any:
        return pa.array(screener.contains(column, malformed=malformed))

    def status(column: Any) -> Any:
        return words.take(pa.array(screener.codes(column)))

    for function, called, returns in ((isin, name, "BOOLEAN"), (status, f"{name}_status", "VARCHAR")):
        connection.create_function(
            called, function, ["VARCHAR"], returns, type="arrow", null_handling="special"
        )


def screen(
    relation: "duckdb.DuckDBPyRelation", column: str, listed: Any, *, only_hits: bool = False
) -> "pa.RecordBatchReader":
    """The rows of a relation and their `status`, or only those that are hits.

    Parameters
    ----------
    relation
        What to screen. Its connection is busy while the reader is read, so another cursor queries it.
    column
        The name of its column of IMEIs.
    listed
        A set, a register, a store, or the path of one, see `imeiset.Screener`.
    only_hits
        Leave out the other rows.

    Returns
    -------
    pyarrow.RecordBatchReader
        A stream, to be read once.

    Examples
    --------
    >>> con = duckdb.connect()
    >>> calls = con.sql("SELECT unnest(['490154203237518', '352099001761481']) AS imei")
    >>> hits = screen(calls, "imei", imeiset.ImeiSet(["490154203237518"]), only_hits=True)
    >>> con.cursor().sql("SELECT imei, status FROM hits").fetchall()
    [('490154203237518', 'listed')]
    """
    screener = Screener(listed).now()
    batches = pa.RecordBatchReader.from_stream(relation)
    words = pa.array(screener.words)
    schema = batches.schema.append(pa.field("status", pa.dictionary(pa.uint8(), words.type)))

    def screened(batch: Any) -> Any:
        codes = screener.codes(batch.column(column))
        if only_hits:
            rows = np.flatnonzero(np.isin(codes, screener.hits))
            batch, codes = batch.take(pa.array(rows)), codes[rows]
        status = pa.DictionaryArray.from_arrays(pa.array(codes), words)
        return pa.RecordBatch.from_arrays([*batch.columns, status], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, in_order(screened, batches))
