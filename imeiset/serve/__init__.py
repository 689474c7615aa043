"""Fronts over a store, on the wire: a 5G-EIR, Diameter S13, checks in bulk, metrics and a page."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imeiset.serve.http.application import App, app

__all__ = ["App", "app"]


if not TYPE_CHECKING:  # a name brings its module when it is asked for

    def __getattr__(name):
        if name in __all__:
            from importlib import import_module

            return globals().setdefault(name, getattr(import_module("imeiset.serve.http.application"), name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
