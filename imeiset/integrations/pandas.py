"""pandas: after `import imeiset.integrations.pandas`, a Series of IMEIs has an `.imei`.

Examples
--------
>>> import pandas as pd
>>> import imeiset.integrations.pandas
>>> calls = pd.DataFrame({"device": ["490154203237518", "352099001761481"]})
>>> blocked = imeiset.ImeiSet(["490154203237518"])
>>> calls[calls["device"].imei.isin(blocked)]["device"].tolist()
['490154203237518']
"""

from typing import Any

import numpy as np

from imeiset import Screener
from imeiset.columns import unambiguous
from imeiset.errors import ExtraMissing
from imeiset.register import Words

try:
    import pandas as pd
except ModuleNotFoundError as error:
    raise ExtraMissing(str(error), "pandas", error.name) from None


@pd.api.extensions.register_series_accessor("imei")
class ImeiAccessor:
    """A Series of IMEIs: texts, or int64 keys of 14 digits. Results have its index and name.

    digits=15 is for integers that have the check digit. One of 15 digits is an error otherwise.
    """

    def __init__(self, series: "pd.Series[Any]") -> None:
        self._series = series
        # Before version 3 only frames speak Arrow.
        speaks = isinstance(series.dtype, np.dtype) or hasattr(series, "__arrow_c_stream__")
        self._column = series if speaks else series.reset_index(drop=True).to_frame("imei")

    def is_valid(self, *, digits: int = 14) -> "pd.Series[Any]":
        """Which texts have 15 digits, the last of them the check digit.

        Parameters
        ----------
        digits
            15 for integers that have the check digit.

        Returns
        -------
        Series of bool

        Examples
        --------
        >>> pd.Series(["490154203237518", "490154203237519"]).imei.is_valid().tolist()
        [True, False]
        """
        return self._like(unambiguous(self._column, digits=digits, check_digit="require")[1] == 0)

    @property
    def tac(self) -> "pd.Series[Any]":
        """The Type Allocation Codes, the first 8 digits.

        Returns
        -------
        Series of categories
            Missing where a row is malformed. For integers of 15 digits: `imeiset.tacs(series, digits=15)`.

        Examples
        --------
        >>> pd.Series(["490154203237518", "n/a"]).imei.tac.tolist()
        ['49015420', nan]
        """
        keys, status = unambiguous(self._column)
        codes, tacs = pd.factorize(np.where(status == 0, keys // 10**6, 10**8))
        names = [None if tac == 10**8 else f"{tac:08d}" for tac in tacs.tolist()]
        if None in names:
            missing = names.index(None)
            del names[missing]
            codes = np.where(codes == missing, -1, codes - (codes > missing))
        return self._like(pd.Categorical.from_codes(codes, names))

    def isin(self, listed: Any, *, malformed: bool | None = None, digits: int = 14) -> "pd.Series[Any]":
        """Which rows are in a set, or blacklisted by a register or a store.

        Parameters
        ----------
        listed
            A set, a register, a store, or the path of one.
        malformed
            None raises ImeiError for the first malformed or missing row; False counts them out, True in.
        digits
            14 for integers that are keys, 15 for such as have the check digit.

        Returns
        -------
        Series of bool

        Examples
        --------
        >>> blocked = imeiset.ImeiSet(["490154203237518"])
        >>> pd.Series(["490154203237518", "n/a"]).imei.isin(blocked, malformed=False).tolist()
        [True, False]
        """
        answers = Screener(listed).contains(self._column, malformed=malformed, threads=None, digits=digits)
        return self._like(answers)

    def status(self, listed: Any, *, digits: int = 14) -> "pd.Series[Any]":
        """What a set, a register or a store says of every row, malformed ones included.

        Parameters
        ----------
        listed, digits
            As for `isin`.

        Returns
        -------
        Series of categories
            The `words` of `imeiset.Screener`.

        Examples
        --------
        >>> pd.Series(["490154203237518", "n/a"]).imei.status(imeiset.ImeiSet(["490154203237518"])).tolist()
        ['listed', 'malformed: not digit']
        """
        screener = Screener(listed)
        codes = screener.codes(self._column, threads=None, digits=digits)
        return self._like(pd.Categorical.from_codes(codes, screener.words))

    def check(self, listed: Any, *, details: bool = False, digits: int = 14) -> Any:
        """What a set, a register or a store says of every row; with `details` all of it, as a frame.

        Parameters
        ----------
        listed, digits
            As for `isin`.
        details
            Also say which list decided, by which rule, and the reasons, the date and the last day it has.

        Returns
        -------
        Series of categories, as `status`; or DataFrame
            With `details`: 'status', 'list', 'rule' and 'reasons', categories; 'date' and 'until',
            datetime64[s]. Missing where there is none.

        Examples
        --------
        >>> register = imeiset.Register()
        >>> register.add("stolen", ["490154203237518"], status=imeiset.EquipmentStatus.BLACKLISTED)
        >>> pd.Series(["490154203237518", "n/a"]).imei.check(register, details=True)["list"].tolist()
        ['stolen', nan]
        """
        if not details:
            return self.status(listed, digits=digits)
        answers = Screener(listed).details(self._column, threads=None, digits=digits)
        columns = {name: _shown(column) for name, column in answers.items()}
        return pd.DataFrame(columns, index=self._series.index)

    def _like(self, values: Any) -> "pd.Series[Any]":
        return pd.Series(values, index=self._series.index, name=self._series.name)


def _shown(column: Any) -> Any:
    if isinstance(column, Words):
        return pd.Categorical.from_codes(column.codes, column.words)
    return column.astype("datetime64[s]")
