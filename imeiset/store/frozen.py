"""What a store is at one moment."""

from imeiset.register.checks import Checks
from imeiset.store.state import State
from imeiset.store.status import Status, status_of


class Frozen(Checks):
    """The lists of a store at one moment, and which moment that is: of a store itself, now."""

    _state: State

    @property
    def generation(self) -> int:
        """The number of the base that serves; 1 is the first.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     store.generation
        1
        """
        return self._state.generation

    @property
    def sequence(self) -> int:
        """The number of the last change that serves; 0 before the first.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     store.sequence, store.apply(), store.sequence
        (0, 1, 1)
        """
        return self._state.position.sequence

    @property
    def state_id(self) -> str:
        """Tells states apart: the same base and the same changes have the same.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     len(store.state_id)
        16
        """
        return f"{self._state.position.digest:016x}"

    def status(self) -> Status:
        """What the store is at this moment, and how old.

        Returns
        -------
        Status

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     store.frozen().status().sequence
        0
        """
        return status_of(self._state, self._state.position.end, None)

    def frozen(self) -> "Frozen":
        """What the store is at this moment, for many calls that are to be answered alike.

        Returns
        -------
        Frozen
            With `check`, `check_many`, `lists` and `policy`, and with the `generation`, `sequence` and
            `state_id` of all that it answers, and a `status`. It never changes.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     before = store.frozen()
        ...     number = store.apply()
        ...     before.sequence, store.sequence
        (0, 1)
        """
        found = Frozen()
        found._state = self._state
        found._use(found._state.tables)
        return found
