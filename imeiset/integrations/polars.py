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

import numpy as np

from imeiset import ImeiError, Screener, to_arrow
from imeiset.columns import tac_texts, unambiguous
from imeiset.errors import ExtraMissing
from imeiset.register import Words

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

    def check(self, listed: Any, *, details: bool = False, digits: int = 14) -> "pl.Expr":
        """What a set, a register or a store says of every row; with `details` all of it, as a struct.

        Parameters
        ----------
        listed, digits
            As for `is_in`.
        details
            Also say which list decided, by which rule, and the reasons, the date and the last day it has.

        Returns
        -------
        Expr of Enum, as `status`; or of Struct
            With `details`: 'status', 'list', 'rule', 'reasons', of String; 'date', 'until', of Date. Null
            where there is none. `unnest` makes columns of it.

        Examples
        --------
        >>> frame = pl.DataFrame({"imei": ["490154203237518", "n/a"]})
        >>> register = imeiset.Register()
        >>> register.add("stolen", ["490154203237518"], status=imeiset.EquipmentStatus.BLACKLISTED)
        >>> answers = frame.select(pl.col("imei").imei.check(register, details=True)).unnest("imei")
        >>> answers["list"].to_list()
        ['stolen', None]
        """
        if not details:
            return self.status(listed, digits=digits)

        def said(series: "pl.Series") -> "pl.Series":
            answers = Screener(listed).details(series, threads=None, digits=digits)
            return pl.DataFrame({name: _shown(column) for name, column in answers.items()}).to_struct()

        return self._map(said, _DETAILS)

    def _map(self, function: Callable[["pl.Series"], Any], dtype: Any) -> "pl.Expr":
        def answer(series: "pl.Series") -> "pl.Series":
            try:
                return pl.Series(series.name, function(series), dtype)
            except ImeiError as error:  # polars makes errors anew, from their text
                raise pl.exceptions.ComputeError(str(error)) from None

        return self._expression.map_batches(answer, return_dtype=dtype, is_elementwise=True)


_DETAILS = pl.Struct(
    {
        **dict.fromkeys(("status", "list", "rule", "reasons"), pl.String),
        **dict.fromkeys(("date", "until"), pl.Date),
    }
)


def _shown(column: Any) -> "pl.Series":
    if isinstance(column, Words):
        return pl.Series([*column.words, None], dtype=pl.String).gather(
            np.where(column.codes < 0, len(column.words), column.codes)
        )
    return pl.Series(column, dtype=pl.Date)
