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
from imeiset.screening.details import DAYS, DETAILS, array_of, types_of
from imeiset.screening.texts import titles_of_answers

try:
    import duckdb
    import pyarrow as pa
except ModuleNotFoundError as error:
    raise ExtraMissing(str(error), "duckdb", error.name) from None


def register(
    connection: "duckdb.DuckDBPyConnection",
    name: str,
    listed: Any,
    *,
    malformed: bool | None = None,
    digits: int = 14,
) -> None:
    """Make SQL functions of a set, a register or a store, for this connection.

    `name(imei)` is BOOLEAN: whether the IMEI is in the set, or blacklisted by the register.
    `name_status(imei)` is VARCHAR: what the list says of every row, malformed ones included.
    `name_details(imei)` is a STRUCT: the `status`, the `list` that decided, by which `rule`, and the
    `reasons`, the `date` and the last day (`until`) that it has; NULL where there is none.
    IMEIs are VARCHAR, or BIGINT and UBIGINT.

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
    digits
        14 for integers that are keys, 15 for such as have the check digit. An integer of 15 digits ends the
        query unless it is 15.

    Examples
    --------
    >>> con = duckdb.connect()
    >>> register(con, "blocked", imeiset.ImeiSet(["490154203237518"]), malformed=False)
    >>> con.sql("SELECT blocked('n/a'), blocked_status('n/a')").fetchall()
    [(False, 'malformed: not digit')]
    >>> con.sql("SELECT unnest(blocked_details('490154203237518'))").columns
    ['status', 'list', 'rule', 'reasons', 'date', 'until']
    """
    screener = Screener(listed)
    words = pa.array(screener.words)

    def isin(*columns: Any) -> Any:
        return pa.array(screener.contains(_alone(columns), malformed=malformed, digits=digits))

    def status(*columns: Any) -> Any:
        return words.take(pa.array(screener.codes(_alone(columns), digits=digits)))

    def details(*columns: Any) -> Any:
        answers = screener.details(_alone(columns), digits=digits)
        return pa.StructArray.from_arrays([array_of(pa, answers[key]) for key in _NAMES], _NAMES)

    for function, called, returns in (
        (isin, name, "BOOLEAN"),
        (status, f"{name}_status", "VARCHAR"),
        (details, f"{name}_details", _STRUCT),
    ):
        # Parameters of any type, which are read as they are: DuckDB would cast others to the one it is told.
        connection.create_function(called, function, None, returns, type="arrow", null_handling="special")


_NAMES = ("status", *DETAILS)
_STRUCT = "STRUCT(" + ", ".join(f'"{name}" {"DATE" if name in DAYS else "VARCHAR"}' for name in _NAMES) + ")"


def _alone(columns: tuple[Any, ...]) -> Any:
    """The one column that a function is called with."""
    if len(columns) != 1:
        raise TypeError(f"expected one IMEI, got {len(columns)} values")
    [column] = columns
    return column.cast(pa.string()) if column.type == pa.null() else column


def screen(
    relation: "duckdb.DuckDBPyRelation",
    column: str,
    listed: Any,
    *,
    only_hits: bool = False,
    details: bool = False,
    digits: int = 14,
) -> "pa.RecordBatchReader":
    """The rows of a relation and their `status`, or only those that are hits.

    It is `status_2` where the relation has a `status` of its own, and so are other columns that are added.

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
    details
        Also add what `name_details` of `register` says.
    digits
        As for `register`.

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
    title = titles_of_answers(batches.schema.names)[0]
    schema = batches.schema.append(pa.field(title, pa.dictionary(pa.uint8(), words.type)))
    if details:
        for name, kind in zip(titles_of_answers(batches.schema.names, DETAILS), types_of(pa), strict=True):
            schema = schema.append(pa.field(name, kind))

    def screened(batch: Any) -> Any:
        added = []
        if details:
            answers = screener.details(batch.column(column), digits=digits)
            codes = answers["status"].codes.astype(np.uint8)
            added = [array_of(pa, answers[name]) for name in DETAILS]
        else:
            codes = screener.codes(batch.column(column), digits=digits)
        status = pa.DictionaryArray.from_arrays(pa.array(codes), words)
        batch = pa.RecordBatch.from_arrays([*batch.columns, status, *added], schema=schema)
        return batch.take(pa.array(np.flatnonzero(np.isin(codes, screener.hits)))) if only_hits else batch

    return pa.RecordBatchReader.from_batches(schema, in_order(screened, batches))
