"""An application that answers the same to everything."""


class Constant:
    """For granian."""

    async def __rsgi__(self, scope, protocol):
        protocol.response_bytes(200, [("content-type", "application/json")], b'{"status":"BLACKLISTED"}')


def load():
    """It, in a worker."""
    return Constant()
