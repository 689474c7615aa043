"""What the tests of publishing and following share: servers on loopback, and a hostile one."""

import pytest
from serve.servers import Servers

from . import hostile as _hostile
from . import places as _places


@pytest.fixture(scope="session")
def _started(tmp_path_factory):
    """Starts the servers of the session, and ends them."""
    servers = Servers(tmp_path_factory.mktemp("logs"))
    yield servers
    servers.stop()


@pytest.fixture(scope="session", params=list(_places.SERVERS))
def server(request, _started, tmp_path_factory):
    """A folder on a server, each kind in turn; started once."""
    with _places.SERVERS[request.param](_started, tmp_path_factory.mktemp(request.param)) as served:
        yield served


@pytest.fixture
def hostile(tmp_path):
    """A server that misbehaves as it is told, in front of the folder `served`."""
    folder = tmp_path / "served"
    folder.mkdir()
    with _hostile.serving(folder) as running:
        yield running
