"""DuckDB: lists as SQL functions, and the faster way, over a reader of record batches.

>>> register(con, "blocked", "blocked.imei")
>>> con.sql("SELECT count(*) FROM calls WHERE blocked(imei)")

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
    """Make SQL functions of a set, a register, a store or the path of one, for this connection.

    `name(imei)`: BOOLEAN, whether the VARCHAR is in the set, or blacklisted by the register. malformed:
    None ends the query with an error at the first malformed or NULL row; False counts them as out, True
    as in. `name_status(imei)`: VARCHAR, what the list says of every row, malformed ones included.
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
    """The rows of a relation and their `status`, or only those that are hits: see `Screener`.

    The reader streams. Its connection is busy meanwhile, so another cursor queries it:

    >>> hits = screen(con.sql("SELECT * FROM 'calls/*.parquet'"), "imei", "blocked.imei", only_hits=True)
    >>> cursor = con.cursor()
    >>> cursor.sql("SELECT msisdn, status FROM hits JOIN subscribers USING (imsi)")
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
