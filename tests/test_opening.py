"""`imeiset.open`: a set, a register or a store, as a path has it."""

import dirty
import pytest

import imeiset
from imeiset import Delta, ImeiSet, Register, SnapshotError, Store, StoreError


@pytest.fixture
def paths(tmp_path):
    ImeiSet(dirty.LISTED).save(tmp_path / "set.imei")
    dirty.register().save(tmp_path / "register.imei")
    Store.create(tmp_path / "store", dirty.register()).close()
    return {ImeiSet: tmp_path / "set.imei", Register: tmp_path / "register.imei", Store: tmp_path / "store"}


@pytest.mark.parametrize("mode", ["mmap", "memory"])
@pytest.mark.parametrize("verify", [False, True])
def test_what_a_path_holds(paths, mode, verify):
    for kind, path in paths.items():
        for given in (path, str(path)):
            one = imeiset.open(given, mode, verify=verify)
            assert type(one) is kind
            if kind is ImeiSet:
                assert dirty.GOOD in one
            else:
                assert one.check(dirty.GOOD).list == "stolen"
    with imeiset.open(paths[Store]) as store:
        assert store.apply(Delta("stolen", add=["352099001761499"])) == 1


def test_what_is_damaged(paths, tmp_path):
    for kind, path in paths.items():
        file = path / "base-00000001.imei" if kind is Store else path
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        (tmp_path / "other").write_bytes(data)
        (tmp_path / "other").replace(file)
        imeiset.open(path)
        for mode in ("mmap", "memory"):
            with pytest.raises(SnapshotError, match=r"checksum|zeros"):
                imeiset.open(path, mode, verify=True)


def test_what_cannot_be_opened(paths, tmp_path):
    with pytest.raises(SnapshotError, match="readable file"):
        imeiset.open(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="expected a store"):
        imeiset.open(tmp_path)
    (tmp_path / "text").write_text("490154203237518\n")
    with pytest.raises(SnapshotError, match="a snapshot, which begins"):
        imeiset.open(tmp_path / "text", verify=True)
    with pytest.raises(ValueError, match="expected mode 'mmap' or 'memory', got 'r'"):
        imeiset.open(paths[ImeiSet], "r")
    with pytest.raises(TypeError):
        imeiset.open(paths[ImeiSet], "mmap", True)
