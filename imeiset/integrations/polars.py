"""polars: after `import imeiset.integrations.polars`, an expression of IMEIs has an `.imei`.

Examples
--------
>>> import polars as pl
>>> import imeiset.integrations.polars
>>> calls = pl.LazyFrame({"imei": ["490154203237518", "352099001761481"]})
>>> blocked = imeiset.ImeiSet(["490154203237518"])
>>> calls.filter(pl.col("imei").imei.is_in(blocked)).collect().rows()
[('490154203237518',)]

A path is opened where the query runs, and mapped once per process.
"""

from collections.abc import Callable
from typing import Any

from imeiset import ImeiError, Screener, to_arrow
from imeiset.columns import tac_texts, unambiguous
from imeiset.errors import ExtraMissing

try:
    import polars as pl
except ModuleNotFoundError as error:
    raise ExtraMissing(str(error), "polars", error.name) from None


@pl.api.register_expr_namespace("imei")
class ImeiExpr:
    """An expression of IMEIs: texts, or Int64 and UInt64 keys of 14 digits. Lazy and streaming.

    digits=15 is for integers that have the check digit. One of 15 digits is an error otherwise.
    """

    def __init__(self, expression: "pl.Expr") -> None:
        self._expression = expression

    def is_valid(self, *, digits: int = 14) -> "pl.Expr":
        """Which texts have 15 digits, the last of them the check digit.

        Parameters
        ----------
        digits
            15 for integers that have the check digit.

        Returns
        -------
        Expr of Boolean

        Examples
        --------
        >>> frame = pl.DataFrame({"imei": ["490154203237518", "490154203237519"]})
        >>> frame.select(pl.col("imei").imei.is_valid()).to_series().to_list()
        [True, False]
        """
        return self._map(lambda s: unambiguous(s, digits=digits, check_digit="require")[1] == 0, pl.Boolean)

    def tac(self, *, digits: int = 14) -> "pl.Expr":
        """The Type Allocation Codes, the first 8 digits.

        Parameters
        ----------
        digits
            15 for integers that have the check digit.

        Returns
        -------
        Expr of String
            Null where a row is malformed.

        Examples
        --------
        >>> frame = pl.DataFrame({"imei": ["490154203237518", "n/a"]})
        >>> frame.select(pl.col("imei").imei.tac()).to_series().to_list()
        ['49015420', None]
        """
        return self._map(lambda s: to_arrow(tac_texts(unambiguous(s, digits=digits)[0])), pl.String)

    def is_in(self, listed: Any, *, malformed: bool | None = None, digits: int = 14) -> "pl.Expr":
        """Which rows are in a set, or blacklisted by a register or a store.

        Parameters
        ----------
        listed
            A set, a register, a store, or the path of one.
        malformed
            None ends the query with a ComputeError at the first malformed or null row, whose number is that
            in its batch; False counts them as out, True as in.
        digits
            14 for integers that are keys, 15 for such as have the check digit.

        Returns
        -------
        Expr of Boolean

        Examples
        --------
        >>> frame = pl.DataFrame({"imei": ["490154203237518", "n/a"]})
        >>> blocked = imeiset.ImeiSet(["490154203237518"])
        >>> frame.select(pl.col("imei").imei.is_in(blocked, malformed=False)).to_series().to_list()
        [True, False]
        """
        return self._map(
            lambda s: Screener(listed).contains(s, malformed=malformed, threads=None, digits=digits),
            pl.Boolean,
        )

    def status(self, listed: Any, *, digits: int = 14) -> "pl.Expr":
        """What a set, a register or a store says of every row, malformed ones included.

        Parameters
        ----------
        listed, digits
            As for `is_in`.

        Returns
        -------
        Expr of Enum
            The `words` of `imeiset.Screener`.

        Examples
        --------
        >>> frame = pl.DataFrame({"imei": ["490154203237518", "n/a"]})
        >>> blocked = imeiset.ImeiSet(["490154203237518"])
        >>> frame.select(pl.col("imei").imei.status(blocked)).to_series().to_list()
        ['listed', 'malformed: not digit']
        """
        words = Screener(listed).words
        named = pl.Series(words, dtype=pl.Enum(words))

        def said(series: "pl.Series") -> "pl.Series":
            screener = Screener(listed)
            if screener.words != words:  # a path, which led to a set and now leads to a register
                raise ValueError(
                    f"expected a list that says {words[:2]}, got {screener.words[:2]} in its place"
                )
            return named.gather(screener.codes(series, threads=None, digits=digits))

        return self._map(said, named.dtype)

    def _map(self, function: Callable[["pl.Series"], Any], dtype: Any) -> "pl.Expr":
        def answer(series: "pl.Series") -> "pl.Series":
            try:
                return pl.Series(series.name, function(series), dtype)
            except ImeiError as error:  # polars makes errors anew, from their text
                raise pl.exceptions.ComputeError(str(error)) from None

        return self._expression.map_batches(answer, return_dtype=dtype, is_elementwise=True)
