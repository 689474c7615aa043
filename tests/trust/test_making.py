"""The files of an edition are checked before they are published."""

import pytest

from imeiset.errors import TrustError
from imeiset.trust import delta

from .publishing import World

pytest.importorskip("tuf")


def test_a_delta_that_does_not_lead_there_is_not_published(tmp_path, monkeypatch):
    world = World(tmp_path)
    world.publish()
    world.change(200, 201)
    before = world.files()
    real = delta.write
    with monkeypatch.context() as patched:
        patched.setattr(delta, "write", lambda path, old, new: real(path, new, old))
        with pytest.raises(TrustError, match="a delta that leads from the last edition to this one"):
            world.publish()
    assert world.files() == before
    assert world.publish().edition == 2
