"""Modules that come with an extra, imported when they are needed."""

from importlib import import_module
from typing import Any

from . import ExtraMissing


def extra(module: str, what: str, name: str) -> Any:
    """A module. what: why it is needed, name: of the extra; ExtraMissing says so where it is not there."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ExtraMissing(what, name, error.name) from None
