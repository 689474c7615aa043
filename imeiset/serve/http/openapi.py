"""Our OpenAPI document: everything that the HTTP front answers."""

from functools import cache


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
    from importlib.resources import files  # here: what a worker does not need it does not keep in memory

    return files(__package__).joinpath("openapi.json").read_bytes()
