"""Sets of identities: IMEIs by their keys, and irregular identities beside them. Algebra and comparisons."""

from abc import abstractmethod
from collections.abc import Set
from typing import Any, Self

import numpy as np

from imeiset import irregular as irregulars
from imeiset.errors import ImeiError, ParseStatus
from imeiset.index import AND, OR, SUB, XOR, Index
from imeiset.irregular import Identities

_OF_TEXTS = (np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d)


class IdentitySet(Index, Set[Any]):  # not Set[str]: it is asked for keys, bytes and `Imei` too
    """An index that may keep irregular identities, with what Python's sets do. One sweep over two of them."""

    __slots__ = ("_irregular",)
    _irregular: Identities

    @abstractmethod
    def _as_set(self, other: object, digits: int = 14) -> Self:
        """A column as a set, which keeps irregular identities if this one does."""

    @property
    def irregular(self) -> Identities | None:
        """The irregular identities beside the IMEIs, in normal form and order: S16[n], not to be written to.

        None in a set that rejects them: there, asking for one raises ImeiError, as for any malformed text.
        They are not counted by `len`, have no position, and are not part of `iter` and `to_numpy`.

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> ImeiSet(["62#222222222222"], irregular="keep").irregular.tolist()
        [b'62#222222222222']
        """
        return getattr(self, "_irregular", None)

    def keeping(self, texts: Identities | None) -> Self:
        """This new set, which nobody else has seen, with irregular identities beside it.

        Parameters
        ----------
        texts
            A table of `imeiset.irregular`, sorted; None for a set that rejects such.

        Returns
        -------
        ImeiSet
            This one.

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> from imeiset.irregular import table
        >>> "62#4" in ImeiSet(["490154203237518"]).keeping(table(["62#4"]))
        True
        """
        if texts is not None:
            self._irregular = texts
        return self

    def _joined(self, other: Self, op: int) -> Self:
        mine, theirs = self.irregular, other.irregular
        texts = None
        if mine is not None or theirs is not None:  # the result keeps them if either does
            texts = _OF_TEXTS[op](
                irregulars.NONE if mine is None else mine, irregulars.NONE if theirs is None else theirs
            )
        return self.joined(self, other, op).keeping(texts)

    def _handled(self, irregular: irregulars.Handling) -> Self:
        """This set, or one of the same IMEIs that keeps irregular identities, or that rejects them."""
        kept = self.irregular
        if (kept is not None) == (irregular == "keep"):
            return self
        if kept is not None and len(kept):
            raise ImeiError(ParseStatus.NOT_DIGIT, kept[0])
        return self.from_sections(dict(self.sections())).keeping(irregulars.NONE if kept is None else None)

    def _contains_malformed(self, value: object, status: int, /) -> bool:
        if self.irregular is not None:
            form = irregulars.normalised(value)
            if isinstance(form, int):
                return form in self
            if form is not None:
                return bool(irregulars.listed(np.array([form], irregulars.NONE.dtype), self.irregular)[0])
        return super()._contains_malformed(value, status)

    def __or__(self, other: object) -> Self:
        return self._joined(self._as_set(other), OR) if isinstance(other, Set) else NotImplemented

    def __and__(self, other: object) -> Self:
        return self._joined(self._as_set(other), AND) if isinstance(other, Set) else NotImplemented

    def __sub__(self, other: object) -> Self:
        return self._joined(self._as_set(other), SUB) if isinstance(other, Set) else NotImplemented

    def __rsub__(self, other: object) -> Self:
        return self._as_set(other)._joined(self, SUB) if isinstance(other, Set) else NotImplemented

    def __xor__(self, other: object) -> Self:
        return self._joined(self._as_set(other), XOR) if isinstance(other, Set) else NotImplemented

    __ror__, __rand__, __rxor__ = __or__, __and__, __xor__

    def union(self, *others: object, digits: int = 14) -> Self:
        """The IMEIs of this set and of all others.

        Parameters
        ----------
        *others
            Sets, or columns that a set can be made of.
        digits
            What integers are, as for `contains`.

        Returns
        -------
        ImeiSet

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> len(ImeiSet(["490154203237518"]).union(["358091016853555"], {"352099001761481"}))
        3
        """
        return self._each(others, OR, digits)

    def intersection(self, *others: object, digits: int = 14) -> Self:
        """The IMEIs of this set that are in all others.

        Parameters
        ----------
        *others
            Sets, or columns that a set can be made of.
        digits
            What integers are, as for `contains`.

        Returns
        -------
        ImeiSet

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> list(ImeiSet(["490154203237518", "358091016853555"]).intersection(["358091016853555"]))
        ['358091016853555']
        """
        return self._each(others, AND, digits)

    def difference(self, *others: object, digits: int = 14) -> Self:
        """The IMEIs of this set that are in none of the others.

        Parameters
        ----------
        *others
            Sets, or columns that a set can be made of.
        digits
            What integers are, as for `contains`.

        Returns
        -------
        ImeiSet

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> list(ImeiSet(["490154203237518", "358091016853555"]).difference(["358091016853555"]))
        ['490154203237518']
        """
        return self._each(others, SUB, digits)

    def _each(self, others: tuple[object, ...], op: int, digits: int) -> Self:
        found = self
        for other in others:
            found = found._joined(found._as_set(other, digits), op)
        return found

    def symmetric_difference(self, other: object, /, *, digits: int = 14) -> Self:
        """The IMEIs of one of two sets that are not in both.

        Parameters
        ----------
        other
            A set, or a column that a set can be made of.
        digits
            What integers are, as for `contains`.

        Returns
        -------
        ImeiSet

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> list(ImeiSet(["490154203237518"]).symmetric_difference(["358091016853555"]))
        ['358091016853555', '490154203237518']
        """
        return self._joined(self._as_set(other, digits), XOR)

    def _lacks_text(self, other: Self) -> bool:
        """Is an irregular identity here that is not in the other?"""
        if self.irregular is None:
            return False
        among = irregulars.NONE if other.irregular is None else other.irregular
        return not irregulars.listed(self.irregular, among).all()

    def issubset(self, other: object, /, *, digits: int = 14) -> bool:
        """Whether every IMEI of this set is in the other.

        Parameters
        ----------
        other
            A set, or a column that a set can be made of.
        digits
            What integers are, as for `contains`.

        Returns
        -------
        bool

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> ImeiSet(["490154203237518"]).issubset(["490154203237518", "358091016853555"])
        True
        """
        other = self._as_set(other, digits)
        return len(self) <= len(other) and not self.lacks_any(other) and not self._lacks_text(other)

    def issuperset(self, other: object, /, *, digits: int = 14) -> bool:
        """Whether every IMEI of the other is in this set.

        Parameters
        ----------
        other
            A set, or a column that a set can be made of.
        digits
            What integers are, as for `contains`.

        Returns
        -------
        bool

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> ImeiSet(["490154203237518"]).issuperset(["490154203237518", "358091016853555"])
        False
        """
        return self._as_set(other, digits).issubset(self)

    def isdisjoint(self, other: object, /, *, digits: int = 14) -> bool:
        """Whether no IMEI is in both.

        Parameters
        ----------
        other
            A set, or a column that a set can be made of.
        digits
            What integers are, as for `contains`.

        Returns
        -------
        bool

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> ImeiSet(["490154203237518"]).isdisjoint(["358091016853555"])
        True
        """
        other = self._as_set(other, digits)
        if self.shares_any(other):
            return False
        mine, theirs = self.irregular, other.irregular
        return mine is None or theirs is None or not irregulars.listed(mine, theirs).any()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IdentitySet):
            return NotImplemented
        return self is other or (
            len(self) == len(other) and self.issubset(other) and not other._lacks_text(self)
        )

    def __hash__(self) -> int:
        ends = (self.select(0), self.select(len(self) - 1)) if len(self) else ()
        return hash((len(self), ends))

    def __le__(self, other: object) -> bool:
        return self.issubset(other) if isinstance(other, Set) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return (
            self <= (of := self._as_set(other)) and self != of if isinstance(other, Set) else NotImplemented
        )

    def __ge__(self, other: object) -> bool:
        return self.issuperset(other) if isinstance(other, Set) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._as_set(other) < self if isinstance(other, Set) else NotImplemented

    def digest(self) -> str:
        """SHA-256 of what the set holds, however it was made or stored.

        Returns
        -------
        str
            64 hexadecimal digits.

        Notes
        -----
        The hash of two parts: the SHA-256 of the runs of consecutive keys, in order, as _native/c/encode.h
        writes them (LEB128 of twice the keys between a run and the one before, plus 1 if it has more than one
        key, and then the number of its keys less two); and the irregular identities in order, 16 bytes each,
        padded with NUL. About 12 ns for each run.

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> ImeiSet(["490154203237518"]).digest() == ImeiSet([49015420323751]).digest()
        True
        """
        import hashlib  # not loaded before, for its library takes milliseconds

        whole = hashlib.sha256(self.digest_of_keys())
        if self.irregular is not None:
            whole.update(self.irregular.tobytes())
        return whole.hexdigest()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
