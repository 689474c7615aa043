"""Keys: made once, found by their IDs, read with their passphrase, and never shown."""

import stat

import pytest

from imeiset.errors import TrustError, TrustKey, TrustRefused
from imeiset.trust import keys
from imeiset.trust.keys import Keys
from imeiset.trust.metadata import Published, fingerprint, load
from imeiset.trust.places import Place

pytest.importorskip("tuf")


def root_of(folder):
    return Published.read(Place(folder / "nowhere"), Keys.of(folder).roots()).root


def test_a_folder_of_keys(tmp_path):
    folder = tmp_path / "keys"
    told = keys.new(folder, threshold=2, number=3)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = sorted(path.name.rpartition("-")[0] for path in folder.glob("*.pem"))
    assert names == ["online", "root", "root", "root", "targets"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.glob("*.pem"))
    data = (folder / "root.json").read_bytes()
    assert told == fingerprint(data)
    assert len(load("root", data, "root.json").signatures) == 3
    root = root_of(folder)
    assert {role: about.threshold for role, about in root.signed.roles.items()} == {
        "root": 2,
        "targets": 1,
        "snapshot": 1,
        "timestamp": 1,
    }
    assert root.signed.roles["snapshot"].keyids == root.signed.roles["timestamp"].keyids
    assert {key.keytype for key in root.signed.keys.values()} == {"ed25519"}
    assert root.signed.consistent_snapshot


def test_nothing_is_overwritten(tmp_path):
    keys.new(tmp_path / "keys")
    before = {path: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    with pytest.raises(TrustError, match="an empty folder, or none"):
        keys.new(tmp_path / "keys")
    assert {path: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == before


@pytest.mark.parametrize(("threshold", "number"), [(0, 1), (2, 1), (1, 33)])
def test_thresholds_that_nobody_meets(tmp_path, threshold, number):
    with pytest.raises(ValueError, match="threshold"):
        keys.new(tmp_path / "keys", threshold=threshold, number=number)
    assert not (tmp_path / "keys").exists()


def test_keys_that_could_not_be_made_leave_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keys, "first_root", full)
    with pytest.raises(OSError, match="No space"):
        keys.new(tmp_path / "keys")
    assert list((tmp_path / "keys").iterdir()) == []
    monkeypatch.undo()
    keys.new(tmp_path / "keys")


def test_a_passphrase_is_needed_and_has_to_be_right(tmp_path):
    folder = tmp_path / "keys"
    keys.new(folder, passphrase=b"secret")
    assert all(b"ENCRYPTED" in path.read_bytes() for path in folder.glob("*.pem"))
    root = root_of(folder)
    assert len(Keys.of(folder, b"secret").signers("root", root)) == 2
    asked = []
    Keys.of(folder, lambda path: asked.append(path.name) or b"secret").signers("online", root)
    assert [name.rpartition("-")[0] for name in asked] == ["online"]
    for passphrase, told in ((None, "--passphrase-file"), (b"wrong", "a wrong passphrase")):
        with pytest.raises(TrustKey, match=told) as caught:
            Keys.of(folder, passphrase).signers("online", root)
        assert "wrong" not in str(caught.value).replace("a wrong passphrase", "")
    keys.new(tmp_path / "open")
    assert Keys.of(tmp_path / "open", b"of no use").signers("online", root_of(tmp_path / "open"))


def test_only_what_signs_has_to_be_there(tmp_path):
    folder, safe = tmp_path / "keys", tmp_path / "safe"
    keys.new(folder)
    safe.mkdir()
    names = sorted(path.name for path in folder.glob("root-*"))
    for name in names:
        (folder / name).rename(safe / name)
    root = root_of(folder)
    own = Keys.of(folder)
    assert own.signers("targets", root)
    assert own.signers("online", root)
    assert own.has("online", root)
    assert not own.has("root", root)
    with pytest.raises(TrustKey, match="expected 2 keys of role root, got 0: bring 2 of ") as caught:
        own.signers("root", root)
    assert all(name in str(caught.value) for name in names)
    (safe / names[0]).rename(folder / names[0])
    with pytest.raises(TrustKey, match=f"got 1: bring 1 of (?!.*{names[0]})"):
        own.signers("root", root)
    assert len(Keys.of([folder, safe]).signers("root", root)) == 2


def test_files_that_are_no_keys(tmp_path):
    folder = tmp_path / "keys"
    keys.new(folder)
    root = root_of(folder)
    online, targets = (next(folder.glob(f"{role}-*")) for role in ("online", "targets"))
    targets.write_bytes(online.read_bytes())
    with pytest.raises(TrustKey, match=r"expected key [0-9a-f]{16}, got another"):
        Keys.of(folder).signers("targets", root)
    secret = online.read_text().splitlines()[1]
    online.write_text(online.read_text().replace("-----BEGIN", "----BEGIN"))
    with pytest.raises(TrustKey, match="a private key in PEM") as caught:
        Keys.of(folder).signers("online", root)
    assert secret[:8] not in str(caught.value)
    (folder / "root.json").unlink()
    with pytest.raises(TrustKey, match="imeiset keys new"):
        Keys.of(folder).roots()


def test_a_root_is_kept_once(tmp_path):
    folder = tmp_path / "keys"
    keys.new(folder)
    own = Keys.of(folder)
    own.keep_root(b"one", 2)
    own.keep_root(b"one", 2)
    with pytest.raises(TrustRefused):
        own.keep_root(b"another", 2)
    assert own.roots()[1:] == [b"one"]
    own.keep_root(b"four", 4)
    assert own.roots()[1:] == [b"one"], "a gap ends them"


def test_keys_that_others_can_read_are_named(tmp_path):
    keys.new(tmp_path / "keys")
    assert Keys.of(tmp_path / "keys").others_can_read() == []
    path = next((tmp_path / "keys").glob("online-*"))
    path.chmod(0o640)
    assert Keys.of(tmp_path / "keys").others_can_read() == [path]


def test_new_keys_are_asked_a_passphrase_for_if_others_have_one(tmp_path):
    asked = []

    def ask(path):
        asked.append(path)
        return b"secret"

    keys.new(tmp_path / "open")
    Keys.of(tmp_path / "open", ask).add("online", 1)
    assert asked == []
    keys.new(tmp_path / "hidden", passphrase=b"secret")
    Keys.of(tmp_path / "hidden", ask).add("online", 1)
    assert len(asked) == 1
    assert all(b"ENCRYPTED" in path.read_bytes() for path in (tmp_path / "hidden").glob("*.pem"))
