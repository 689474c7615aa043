"""The HTTP front as one application: a 5G-EIR, checks in bulk, and our OpenAPI document."""

import os
from typing import Any

from imeiset import Store
from imeiset.serve import eir
from imeiset.serve.answers import Answer, problem
from imeiset.serve.served import Served, Work
from imeiset.serve.tokens import Tokens

_TOO_LONG = problem(414)


class App(Served):
    """Answers of a store by HTTP, for a server that speaks RSGI or ASGI. `app` makes one.

    Parameters
    ----------
    store
        A `Store`, which its owner watches; or the path of one, which is opened, and watched, in each process
        that answers.
    config
        See `imeiset.serve.config`.
    counts
        Of `imeiset.serve.board`.
    refresh
        Seconds between two looks for changes, where a path is given.
    """

    def __init__(
        self,
        store: Store | str | os.PathLike[str],
        config: Any = None,
        *,
        counts: Any = None,
        refresh: float = 0.25,
    ) -> None:
        self._path = None if isinstance(store, Store) else store
        self.store: Store | None = store if isinstance(store, Store) else None
        self.counts = counts
        self._refresh = refresh
        self._tokens: Tokens | None = None
        self._uri, self._root = 2048, ""
        self._eir: eir.Eir | None = None
        self._bulk: Any = None
        self._limits: Any = None
        if config is not None:
            self.use(config)

    def use(self, config: Any) -> None:
        """Take the tokens and the limits of a configuration, while requests are answered."""
        http = config.http
        self._tokens = Tokens(http.oauth2) if http.oauth2 else None
        self._uri, self._root, self._limits = http.limits.uri, http.root, http.limits

    def start(self) -> None:
        """Open the store and watch it, where a path was given. Calls after the first do nothing."""
        if self._eir is not None:
            return
        if self._path is not None:
            self.store = Store.open(self._path)
            self.store.watch(self._refresh)
        self._eir = eir.Eir(self.store, self.counts)

    def stop(self) -> None:
        """Stop to watch what `start` opened."""
        if self._path is not None and self.store is not None:
            self.store.close()

    def respond(self, method: str, path: str, query: str, headers: Any) -> Answer | Work:
        """See `Served`."""
        if self._eir is None:
            self.start()
        if len(path) + len(query) >= self._uri:
            return _TOO_LONG
        if self._tokens is not None and (refusal := self._tokens.refusal(headers.get("authorization"))):
            return refusal
        assert self._eir is not None
        return self._eir.answer(method, path.removeprefix(self._root), query, headers)


def app(store: Store | str | os.PathLike[str], config: Any = None, *, refresh: float = 0.25) -> App:
    """The HTTP front of a store, to be mounted in a server of your own.

    Parameters
    ----------
    store
        A `Store`, which you keep up to date (`Store.watch`); or the path of one, which is opened, and
        watched, in each process that answers.
    config
        See `imeiset.serve.config`; None: no tokens, and the usual limits.
    refresh
        Seconds between two looks for changes, where a path is given.

    Returns
    -------
    App
        An application for RSGI (granian) and ASGI (uvicorn, hypercorn; a mount of Starlette or FastAPI).

    Examples
    --------
    >>> import tempfile
    >>> from imeiset import Register, Store
    >>> from imeiset.serve import app
    >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
    ...     front = app(store)
    ...     front.respond("GET", "/n5g-eir-eic/v1/equipment-status", "pei=imei-490154203237518", {}).body
    b'{"status":"WHITELISTED"}'
    """
    return App(store, config, refresh=refresh)
