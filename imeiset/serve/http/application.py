"""The HTTP front as one application: a 5G-EIR, checks in bulk, and our OpenAPI document."""

import logging
import os
import time
from typing import Any, NamedTuple

from imeiset import ImeisetError, Store
from imeiset.serve.config import Config, HttpConfig, LimitsConfig
from imeiset.serve.http import eir, openapi
from imeiset.serve.http.answers import JSON, UNREADABLE, URI_TOO_LONG, Answer, Refusal, not_allowed
from imeiset.serve.http.bulk import CHECKS, LISTS, Bulk
from imeiset.serve.http.gateway import Gateway, Work
from imeiset.serve.http.tokens import Tokens
from imeiset.serve.state import Counts

_log = logging.getLogger(__name__)
OPENAPI = "/openapi.json"
_BODIES = 8  # of the longest, in memory at a time
_GET_ONLY = not_allowed("GET")


class _Settings(NamedTuple):
    """What may change while requests are answered: one reference, so that no request sees half of it."""

    limits: LimitsConfig = LimitsConfig()
    uri: int = LimitsConfig().uri
    root: str = ""
    check: str = eir.PATH  # below the root
    tokens: Tokens | None = None
    bulk_tokens: Tokens | None = None

    @classmethod
    def of(cls, http: HttpConfig) -> "_Settings":
        tokens = Tokens(http.oauth2) if http.oauth2 else None
        bulk = tokens if http.oauth2 and http.oauth2.bulk else None
        return cls(http.limits, http.limits.uri, http.root, http.root + eir.PATH, tokens, bulk)


class App(Gateway):
    """Answers of a store by HTTP, for a server that speaks RSGI or ASGI. `app` makes one.

    Parameters
    ----------
    store
        A `Store`, which its owner watches; or the path of one, which is opened, and watched, in each process
        that answers.
    config
        A `Config`, or the `HttpConfig` of one; None: no tokens, and the usual limits.
    counts
        Of `imeiset.serve.processes.board`; None for its own.
    refresh
        Seconds between two looks for changes, where a path is given.

    Attributes
    ----------
    counts : Counts
        What was answered.
    store : Store or None
        The one that answers; None before `start` opened it.
    fault : str or None
        Why it could not be opened.
    """

    def __init__(
        self,
        store: Any,
        config: Config | HttpConfig | None = None,
        *,
        counts: Counts | None = None,
        refresh: float = 0.25,
    ) -> None:
        self._path = store if isinstance(store, str | os.PathLike) else None
        self._refresh = refresh
        self.counts = Counts() if counts is None else counts
        self.store: Any = None
        self.fault: str | None = None
        self._next_try = 0.0
        self._settings = _Settings()
        if config is not None:
            self.use(config)
        if self._path is None:
            self._hold(store)

    def _hold(self, store: Any) -> None:
        self._eir = eir.Eir(store, self.counts)
        self._bulk = Bulk(store, self.counts, self._settings.limits)
        self.store = store

    def use(self, config: Config | HttpConfig) -> None:
        """Take the tokens and the limits of a configuration. Requests under way end by the old ones."""
        http = config.http if isinstance(config, Config) else config
        if http is not None:
            self._settings = settings = _Settings.of(http)
            self.most, self.memory = settings.limits.concurrency, _BODIES * settings.limits.bytes

    def start(self) -> None:
        """Open the store and watch it, where a path was given and that is still to be done.

        While it cannot be opened requests get 503, and try again.
        """
        if self.store is not None or self._path is None or time.monotonic() < self._next_try:
            return
        try:
            store = Store.open(self._path)
        except (ImeisetError, OSError) as error:
            self._next_try = time.monotonic() + self._refresh
            if self.fault != (fault := str(error)):
                _log.error("the store cannot be opened: %s", fault)
            self.fault = fault
            return
        store.watch(self._refresh)
        self.fault = None
        self._hold(store)

    def stop(self) -> None:
        """Stop to watch what `start` opened."""
        if self._path is not None and self.store is not None:
            self.store.close()

    def respond(self, method: str, path: str, query: str, headers: Any) -> Answer | Work:
        """See `Gateway`."""
        if self.store is None:
            self.start()
            if self.store is None:
                return self._refused(UNREADABLE, path)
        settings = self._settings
        if len(path) + len(query) >= settings.uri:
            return self._refused(URI_TOO_LONG, path)
        if path != settings.check:
            return self._elsewhere(method, path, query, headers)
        tokens = settings.tokens
        if tokens is not None and (refusal := tokens.refusal(headers.get("authorization"))):
            return self._refused(refusal, path)
        return self._eir.answer(method, eir.PATH, query, headers)

    def _elsewhere(self, method: str, path: str, query: str, headers: Any) -> Answer | Work:
        """Everything but checks of cores."""
        settings = self._settings
        below = path.removeprefix(settings.root) if path.startswith(settings.root) else ""
        if below == OPENAPI:
            return Answer(200, JSON, openapi.document()) if method == "GET" else self.refused(_GET_ONLY)
        if below not in (CHECKS, LISTS):
            return self.refused(eir.elsewhere(below))
        if settings.bulk_tokens and (refusal := settings.bulk_tokens.refusal(headers.get("authorization"))):
            return self.refused(refusal)
        bulk = self._bulk
        bulk.limits = settings.limits
        return Work(
            bulk.takes(method, below),
            lambda body: bulk.answer(method, below, query, headers, body),
            lambda size: bulk.is_long(method, below, query, size),
            bulk.too_long,
        )

    def _refused(self, refusal: Refusal, path: str) -> Answer:
        """The answer of a refusal, counted by the interface that was asked."""
        interface = eir.INTERFACE if path == self._settings.check else "http"
        self.counts.error(interface, refusal.word)
        return refusal.answer

    def refused(self, refusal: Refusal) -> Answer:
        """See `Gateway`."""
        return self._refused(refusal, "")


def app(
    store: Store | str | os.PathLike[str],
    config: Config | HttpConfig | None = None,
    *,
    refresh: float = 0.25,
) -> App:
    """The HTTP front of a store, to be mounted in a server of your own.

    Parameters
    ----------
    store
        A `Store`, which you keep up to date (`Store.watch`); or the path of one, which is opened, and
        watched, in each process that answers.
    config
        A `Config` of `imeiset.serve.config`, or the `HttpConfig` of one. None: no tokens, and the usual
        limits.
    refresh
        Seconds between two looks for changes, where a path is given.

    Returns
    -------
    App
        An application for RSGI (granian) and ASGI (uvicorn, hypercorn; a mount of Starlette or FastAPI).

    Raises
    ------
    StoreError, SnapshotError
        There is no store, or it cannot be used.
    ServeConfigError
        Keys of the configuration cannot be used.

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
    if not isinstance(store, Store):
        Store.open(store).close()  # an error is the caller's, and not that of a worker
    return App(store, config, refresh=refresh)
