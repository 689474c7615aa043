"""Doors for typed columns: NumPy, Arrow and the libraries that imeiset works in."""

import tempfile
from pathlib import Path

import numpy as np

import imeiset
from edges.asking import FAR, asked, by_words, digits_of, far, named_in, told
from imeiset.errors import FeedColumn, FeedRejects, ImeiError


def contained(make):
    """The door of `contains` for the column that `make(form)` gives."""

    def door(form, key):
        def ask(keys, **malformed):
            return far(*keys).contains(make(form), digits=form.digits, **malformed)[0]

        return asked(ask, key, lambda keys: ask(keys, malformed=False))

    return door


def numpy_column(form):
    if isinstance(form.value, str):
        return np.array([form.value], f"U{max(1, len(form.value))}")
    loose = form.value is None or form.dtype == "decimal"
    dtype = object if loose else "S40" if form.dtype in ("text", "binary") else form.dtype
    return np.array([form.value], dtype)


def arrow_column(form, *others):
    import pyarrow as pa

    types = {"text": pa.string(), "bool": pa.bool_(), "decimal": pa.decimal128(15, 0)}
    return pa.array([*others, form.value], types.get(form.dtype, form.dtype))


def arrow_dictionary(form):
    return arrow_column(form).dictionary_encode()


def arrow_large(form):
    import pyarrow as pa

    large = {"text": pa.large_string(), "binary": pa.large_binary()}
    column = arrow_column(form)
    return column.cast(large.get(form.dtype, column.type))


def series(form):
    import pandas as pd

    import imeiset.integrations.pandas  # noqa: F401

    types = {"text": "str", "decimal": object, "binary": object, "uint64": "UInt64", "int64": "Int64"}
    return pd.Series([form.value], dtype=types.get(form.dtype, form.dtype))


def isin(make):
    def door(form, key):
        def ask(keys, **malformed):
            return make(form).imei.isin(far(*keys), **digits_of(form), **malformed)[0]

        return asked(ask, key, lambda keys: ask(keys, malformed=False))

    return door


def pandas_status(form, key):
    return by_words(lambda keys: series(form).imei.status(far(*keys), **digits_of(form))[0], key)


def polars_ask(form, method, keys, **malformed):
    import polars as pl

    import imeiset.integrations.polars  # noqa: F401

    types = {
        "text": pl.String, "binary": pl.Binary, "bool": pl.Boolean, "float64": pl.Float64, "int64": pl.Int64,
        "uint64": pl.UInt64, "int32": pl.Int32, "decimal": pl.Decimal(20, 0),
    }  # fmt: skip
    frame = pl.DataFrame({"imei": pl.Series([form.value], dtype=types[form.dtype])})
    expression = getattr(pl.col("imei").imei, method)(far(*keys), **digits_of(form), **malformed)
    return told(lambda: frame.select(found=expression)["found"][0])


def polars_is_in(form, key):
    return asked(
        lambda keys: polars_ask(form, "is_in", keys),
        key,
        lambda keys: polars_ask(form, "is_in", keys, malformed=False),
    )


def polars_status(form, key):
    return by_words(lambda keys: polars_ask(form, "status", keys), key)


def duckdb_ask(form, function, keys, **malformed):
    import duckdb

    from imeiset.integrations.duckdb import register

    types = {
        "text": "VARCHAR", "binary": "BLOB", "bool": "BOOLEAN", "float64": "DOUBLE", "int64": "BIGINT",
        "uint64": "UBIGINT", "int32": "INTEGER", "decimal": "DECIMAL(20, 0)",
    }  # fmt: skip
    given = form.value.item() if isinstance(form.value, np.generic) else form.value
    question = f"SELECT {function}($1::{types[form.dtype]})"
    with duckdb.connect() as connection:
        register(connection, "blocked", far(*keys), **digits_of(form), **malformed)
        return told(lambda: connection.execute(question, [given]).fetchall()[0][0])


def duckdb_function(form, key):
    return asked(
        lambda keys: duckdb_ask(form, "blocked", keys),
        key,
        lambda keys: duckdb_ask(form, "blocked", keys, malformed=False),
    )


def duckdb_status(form, key):
    return by_words(lambda keys: duckdb_ask(form, "blocked_status", keys), key)


def duckdb_screen(form, key):
    import duckdb
    import pyarrow as pa

    from imeiset.integrations.duckdb import screen

    def say(keys):
        with duckdb.connect() as connection:
            calls = connection.from_arrow(pa.table({"imei": arrow_column(form)}))
            found = told(lambda: screen(calls, "imei", far(*keys), **digits_of(form)).read_all())
            return found["status"][0].as_py()

    return by_words(say, key)


def screen_parquet(form, key):
    import pyarrow as pa
    from pyarrow import parquet

    others = {"text": FAR, "binary": [imei.encode() for imei in FAR]}.get(form.dtype, [])

    def say(keys):
        with tempfile.TemporaryDirectory() as place:
            path, out = Path(place, "calls.parquet"), Path(place, "out.parquet")
            parquet.write_table(pa.table({"imei": arrow_column(form, *others)}), path)
            try:
                imeiset.screen(path, far(*keys), column="imei", output=out, **digits_of(form))
            except FeedRejects as error:  # the only row is not an IMEI: its word, as if it had been written
                return f"malformed: {named_in(error).name.lower().replace('_', ' ')}"
            except FeedColumn as error:
                if (status := named_in(error)) is not None:
                    raise ImeiError(status) from error
                raise TypeError(str(error)) from error
            return parquet.read_table(out)["status"][-1].as_py()

    return by_words(say, key)


DOORS = {
    "numpy": contained(numpy_column), "arrow": contained(arrow_column),
    "arrow dictionary": contained(arrow_dictionary), "arrow large": contained(arrow_large),
    "pandas isin": isin(series), "pandas categories": isin(lambda form: series(form).astype("category")),
    "pandas status": pandas_status, "polars is_in": polars_is_in, "polars status": polars_status,
    "duckdb function": duckdb_function, "duckdb status": duckdb_status, "duckdb screen": duckdb_screen,
    "screen parquet": screen_parquet,
}  # fmt: skip
# By the words of a door's name.
NEEDS = {
    "arrow": ["nanoarrow", "pyarrow"], "pandas": ["pandas"], "polars": ["polars", "nanoarrow"],
    "duckdb": ["duckdb", "pyarrow"], "parquet": ["pyarrow"],
}  # fmt: skip
