"""Our OpenAPI document: everything that the HTTP front answers."""

from functools import cache
from importlib.resources import files


@cache
def document() -> bytes:
    """The document as JSON.

    Returns
    -------
    bytes

    Examples
    --------
    >>> import json
    >>> from imeiset.serve.http import openapi
    >>> json.loads(openapi.document())["openapi"]
    '3.1.0'
    """
    return files(__package__).joinpath("openapi.json").read_bytes()
