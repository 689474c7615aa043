"""Sources that are compressed, broken, or not text at all: the right error, and nothing published."""

import contextlib
import gzip
import io
import lzma
import os
import subprocess
import sys
import threading
import time
import zipfile
import zlib

import numpy as np
import pytest

from imeiset import ImeiSet, errors, load, screen
from imeiset.feeds import Options, inflate, reader, sources
from imeiset.feeds import read as read_rows
from imeiset.feeds.sources import HEADROOM, Source

LINES = b"".join(b"%014d\n" % (49015420000000 + i) for i in range(2_000))


def read(path, **options):
    with Source(str(path), **options) as source:
        return b"".join(text for _, _, text in chunks(source))


def chunks(source):
    """(start, stop, text) of every chunk, which is given back."""
    for buffer, start, stop in source:
        text = bytes(buffer[start:stop])
        source.release(buffer)
        yield start, stop, text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "feed"


@pytest.fixture(params=[True, False], ids=["isal", "zlib"])
def either_gzip(request, monkeypatch):
    """With isal, and as where it is not installed."""
    if request.param:
        pytest.importorskip("isal")
    else:
        monkeypatch.setattr(inflate, "find_spec", lambda name: None)


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
@pytest.mark.usefixtures("either_gzip")
def test_plain_and_gzip(path, chunk):
    path.write_bytes(LINES)
    assert read(path, chunk=chunk + 60) == LINES
    path.write_bytes(gzip.compress(LINES))
    assert read(path, chunk=chunk + 60) == LINES


@pytest.mark.usefixtures("either_gzip")
def test_gzip_members_and_padding(path):
    path.write_bytes(
        gzip.compress(LINES[:100]) + gzip.compress(b"") + gzip.compress(LINES[100:]) + bytes(700)
    )
    assert read(path) == LINES


def test_a_byte_order_mark_is_no_text(path):
    for data in (LINES, b""):
        path.write_bytes(b"\xef\xbb\xbf" + data)
        assert read(path) == data
        path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + data))
        assert read(path) == data


def test_chunks_leave_room_before_them(path):
    path.write_bytes(LINES)
    assert sources.size_of(str(path)) == len(LINES)
    with Source(str(path), chunk=1000) as source:
        for start, stop, _ in chunks(source):
            assert start >= HEADROOM
            assert stop - start <= 1000
        assert source.position == len(LINES)


@pytest.mark.usefixtures("either_gzip")
def test_gzip_cut_anywhere(path):
    whole = gzip.compress(LINES[:1500])
    for cut in range(2, len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(errors.FeedTruncated, match="gzip"):
            read(path)


@pytest.mark.parametrize("at", [-8, -5, -4, -1, 40])
@pytest.mark.usefixtures("either_gzip")
def test_gzip_damaged(path, at):
    damaged = bytearray(gzip.compress(LINES))
    damaged[at] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(errors.FeedTruncated, match="gzip"):
        load(path)


@pytest.mark.usefixtures("either_gzip")
def test_bytes_after_gzip_are_not_ignored(path):
    path.write_bytes(gzip.compress(LINES) + b"\0\0490154203237518\n")
    with pytest.raises(errors.FeedTruncated):
        load(path)


def test_a_torn_gzip_publishes_nothing(path, tmp_path):
    data = os.urandom(3 << 20).hex().encode()
    path.write_bytes(gzip.compress(b"x\n" + data)[:-9])
    with pytest.raises(errors.FeedTruncated):
        load(path, rejects=tmp_path / "rejects.csv")
    assert list(tmp_path.iterdir()) == [path]


def zipped(*names, data=LINES):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder") if hasattr(archive, "mkdir") else archive.writestr("folder/", "")
        for name in names or ["folder/list.csv"]:
            archive.writestr(name, data)
    return file.getvalue()


def zstd(data):
    module = pytest.importorskip("backports.zstd")
    return module.compress(data, options={module.CompressionParameter.checksum_flag: True})


PACKERS = {"gzip": gzip.compress, "xz": lzma.compress, "zip": lambda data: zipped(data=data), "zstd": zstd}


@pytest.fixture(params=PACKERS)
def pack(request):
    return PACKERS[request.param]


def test_compressed(path, pack):
    path.write_bytes(pack(b"\xef\xbb\xbf" + LINES))
    assert read(path) == LINES
    assert read(path, chunk=100) == LINES
    assert len(load(path).set) == 2_000


def test_compressed_and_truncated(path, pack, tmp_path):
    whole = pack(LINES)
    cuts = range(len(whole) - 40, len(whole)) if pack is PACKERS["zip"] else range(6, len(whole))
    for cut in list(cuts)[:: max(1, len(cuts) // 300)]:
        path.write_bytes(whole[:cut])
        with pytest.raises(errors.FeedTruncated):
            load(path, rejects=tmp_path / "rejects")
    assert list(tmp_path.iterdir()) == [path]


def test_compressed_and_damaged(path, pack):
    """Whatever bit is wrong, the text is the same or there is an error."""
    whole = pack(LINES[:3000])
    path.write_bytes(whole)
    members = load(path).set
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        with contextlib.suppress(errors.FeedError):
            assert load(path).set == members


@pytest.mark.parametrize("kind", ["xz", "zstd"])
def test_members_one_after_another(path, kind):
    pack = PACKERS[kind]
    path.write_bytes(pack(LINES[:1500]) + pack(b"") + pack(LINES[1500:]) + bytes(8) * (kind == "xz"))
    assert read(path) == LINES
    path.write_bytes(pack(LINES) + bytes(6))
    with pytest.raises(errors.FeedTruncated):
        read(path)


@pytest.mark.parametrize("kind", ["gzip", "xz", "zstd"])
@pytest.mark.usefixtures("either_gzip")
def test_what_follows_a_member_is_read_or_an_error(path, kind):
    """Never the end: rows would be lost."""
    first, second = PACKERS[kind](LINES[:1500]), PACKERS[kind](LINES[1500:])
    path.write_bytes(first + second)
    assert read(path) == LINES
    for rest in (LINES[1500:], b"x" + second[1:], *(second[:cut] for cut in range(1, len(second), 7))):
        path.write_bytes(first + rest)
        with pytest.raises(errors.FeedTruncated):
            load(path)


def test_a_zip_archive_of_another_number_of_files(path):
    path.write_bytes(zipped("a.csv", "b.csv"))
    with pytest.raises(errors.FeedEncoding, match="a zip archive of one file, got one of 2"):
        load(path)


def test_what_systems_add_to_a_zip_archive_is_no_file(path):
    added = ["__MACOSX/._list.csv", "__MACOSX/folder/._list.csv", "._list.csv", "a/.DS_Store", "Thumbs.db"]
    path.write_bytes(zipped(*added, "a/list.csv"))
    assert read(path) == LINES
    for names, count in ((added, 0), ([*added, "a", "b"], 2), ([*added, "MACOSX/a", "DS_Store"], 2)):
        path.write_bytes(zipped(*names))
        with pytest.raises(errors.FeedEncoding, match=f"one of {count}$"):
            load(path)


@pytest.mark.parametrize("kind", range(16))
def test_zstd_with_frames_to_skip(path, kind):
    """pzstd writes one before each frame. They are no text, wherever they are."""
    skipped = bytes([0x50 + kind]) + b"\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    empty = skipped[:4] + bytes(4)
    first, second = zstd(LINES[:1500]), zstd(LINES[1500:])
    path.write_bytes(skipped + first + empty + skipped + second + skipped)
    assert read(path) == LINES
    assert len(load(path).set) == 2_000
    path.write_bytes(skipped)
    with pytest.raises(errors.FeedEmpty):
        load(path)
    for damaged in (skipped + LINES, first + skipped[:-1], first + skipped[:6], skipped + first[:-3]):
        path.write_bytes(damaged)
        with pytest.raises(errors.FeedTruncated):
            load(path)


def test_the_end_of_a_zip_archive_damaged(path):
    """It may lead anywhere, but the file is there."""
    whole, seen = zipped(), set()
    for bit in range(22 * 8):
        damaged = bytearray(whole)
        damaged[-1 - bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert len(load(path).set) == 2_000
        except errors.FeedError as error:
            seen.add(type(error))
    assert seen <= {errors.FeedTruncated, errors.FeedEncoding}
    assert errors.FeedTruncated in seen


def test_an_encrypted_zip_archive(path):
    data = bytearray(zipped("a"))
    for magic, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.rindex(magic)
        data[at + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(errors.FeedEncoding, match="encrypted"):
        load(path)


def test_a_zip_archive_through_a_pipe():
    code = "import imeiset; imeiset.load('-')"
    found = subprocess.run([sys.executable, "-c", code], input=zipped(), capture_output=True, check=False)
    assert b"cannot be sought in" in found.stderr


def test_a_bomb(path, pack):
    path.write_bytes(pack(LINES * 1000))
    with pytest.raises(errors.FeedLimit, match="at most 20 times as much text"):
        load(path, max_ratio=20)
    with pytest.raises(errors.FeedLimit, match="at most 1,000,000 bytes of text"):
        load(path, max_bytes=1_000_000)
    path.write_bytes(pack(b"7" * (1 << 26)))
    with pytest.raises(errors.FeedLimit, match="at most 250 times"):
        load(path)


def test_too_many_rows(path):
    path.write_bytes(LINES)
    assert load(path, max_rows=2000).report.rows == 2000
    with pytest.raises(errors.FeedLimit, match="at most 1,999 rows"):
        load(path, max_rows=1999)


def test_an_extra_that_is_not_there(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(ModuleNotFoundError, match=r"imeiset\[zstd\]"):
        load(path)
    with pytest.raises(ModuleNotFoundError, match=r"imeiset\[fsspec\]"):
        load("memory://list")


def test_remote_files(pack):
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://list.csv", "wb") as file:
        file.write(pack(LINES))
    assert load("memory://list.csv").report.rows == 2_000
    with pytest.raises(errors.FeedMissing):
        load("memory://another.csv")
    with pytest.raises(errors.FeedMissing, match="fsspec"):
        load("nonsense://another.csv")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"PK\x05\x06" + bytes(18), "empty zip archive"),
        (b"BZh91AY", "bzip2"),
        (gzip.compress(b"PAR1\x15\x04"), "Parquet"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "a workbook with a password, or an old xls one"),
        (zipped("mimetype", "content.xml"), "an OpenDocument file"),
        (zipped("[Content_Types].xml", "xl/workbook.bin"), "binary form xlsb"),
        (zipped("[Content_Types].xml", "word/document.xml"), "a text document"),
        (zipped("[Content_Types].xml", "ppt/presentation.xml"), "a presentation"),
        (zipped("list.xlsx", data=zipped("[Content_Types].xml", "a")), "a workbook inside compressed data"),
        (gzip.compress(gzip.compress(LINES)), "gzip data inside"),
        (lzma.compress(gzip.compress(LINES)), "gzip data inside"),
        (gzip.compress(zipped()), "zip archive"),
        (LINES.decode().encode("utf-16"), "UTF-16"),
        (LINES.decode().encode("utf-16-le"), "UTF-16"),
        (LINES.decode().encode("utf-16-be"), "UTF-16"),
        (b"\0\0\xfe\xff" + LINES.decode().encode("utf-32-be"), "UTF-32"),
        (np.random.default_rng(1).bytes(100_000), "binary data"),
        (bytes(1000), "binary data"),
        (LINES[:3000].replace(b"\n", b"\r"), "in CR"),
        (b"imei\n" + LINES[:3000].replace(b"\n", b"\r"), "in CR"),
        (LINES[:150] + LINES[150:3000].replace(b"\n", b"\r") + b"\n", "in CR"),
    ],
)
def test_not_text(path, data, name):
    path.write_bytes(data)
    with pytest.raises(errors.FeedEncoding, match=name):
        load(path)


def test_missing_and_unreadable(tmp_path, path):
    with pytest.raises(errors.FeedMissing, match="No such file"):
        load(path)
    with pytest.raises(errors.FeedMissing, match="directory"):
        load(tmp_path)
    path.write_bytes(LINES)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads everything")
    with pytest.raises(errors.FeedMissing, match="Permission denied"):
        load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_that_comes_in_pieces(path):
    os.mkfifo(path)

    def write():
        with path.open("wb", buffering=0) as pipe:
            for i in range(0, 3000, 7):
                pipe.write(gzipped[i : i + 7])

    gzipped = gzip.compress(LINES[:1500])
    thread = threading.Thread(target=write)
    thread.start()
    assert load(path).report.rows == 100
    thread.join()


def test_stdin():
    code = "import imeiset; print(len(imeiset.load('-').set))"
    for data in (LINES, gzip.compress(LINES)):
        found = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
        assert found.stdout == b"2000\n"


def test_a_line_of_gigabytes_takes_no_memory(path, monkeypatch):
    """A row of more than 2 GB, from a gzip of 9 MB."""
    monkeypatch.setattr(sources, "_SAMPLE", 10)
    packer = zlib.compressobj(1, wbits=31)
    with path.open("wb") as file:
        file.write(packer.compress(b"490154203237518\n"))
        for _ in range(513):
            file.write(packer.compress(b"7" * (1 << 22)))
        file.write(packer.compress(b"\n356938035643809\n") + packer.flush())
    code = (
        "import resource, sys, imeiset\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "result = imeiset.load(sys.argv[1], max_ratio=1e6)\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(len(result.set), result.report.rejects['long_row'].first[0][1], (after - before) // 1024)"
    )
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=True)
    members, line, megabytes = map(int, found.stdout.split())
    assert (members, line) == (2, 2)
    assert megabytes < 60


def test_the_reader_ends_with_the_load(path, monkeypatch):
    monkeypatch.setattr(reader, "CHUNK", 1000)
    path.write_bytes(LINES + b"x\n" + LINES)
    with pytest.raises(errors.FeedRejects):
        load(path, max_rejects=0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read ")]


def test_a_file_that_shrinks_while_it_is_read(path):
    path.write_bytes(LINES)
    with Source(str(path), chunk=1000) as source:
        texts = chunks(source)
        next(texts)
        os.truncate(path, 15_000)
        with pytest.raises(errors.FeedTruncated, match=r"30,000 bytes, got .*: it shrank"):
            list(texts)


def test_a_file_that_grows_while_it_is_read(path):
    path.write_bytes(LINES)
    with Source(str(path), chunk=1000) as source:
        for i, _ in enumerate(chunks(source)):
            if i == 0:
                with path.open("ab") as file:
                    file.write(LINES)
    assert source.position in (len(LINES), 2 * len(LINES))


def test_a_cr_within_quotes_or_a_few_rows_is_text(path):
    path.write_bytes(
        b'imei,note\n490154203237518,"a\rb\rc\rd"\n' + b"\r".join(LINES.splitlines()[:3]) + b",\n"
    )
    assert load(path).report.rejected == 1


def test_the_rejects_do_not_replace_a_source(path, tmp_path):
    path.write_bytes(LINES + b"x\n")
    (tmp_path / "link").symlink_to(path)
    for rejects in (path, tmp_path / "link", tmp_path / ".." / tmp_path.name / path.name):
        with pytest.raises(ValueError, match="which is one"):
            load(path, rejects=rejects)
    assert path.read_bytes() == LINES + b"x\n"


def test_a_failing_read_is_an_error(path, monkeypatch):
    def fail(self, buffer):
        raise OSError(5, "Input/output error")

    path.write_bytes(gzip.compress(LINES))
    monkeypatch.setattr(inflate._Stream, "readinto", fail)
    with pytest.raises(errors.FeedMissing, match="Input/output error"):
        load(path)


@contextlib.contextmanager
def no_thread_outlives_it():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def interrupted(done, total):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("wrong", "more"),
    [
        (errors.FeedRejects, {"max_rejects": 0}),
        (errors.FeedLimit, {"max_rows": 1}),
        (KeyboardInterrupt, {"progress": interrupted}),
    ],
)
def test_no_thread_outlives_a_load(path, pack, wrong, more):
    """Also while its error is still at hand."""
    more = dict(more)
    path.write_bytes(pack(LINES * 100 + b"x\n" + LINES * 100))
    with no_thread_outlives_it():
        load(path)
    with no_thread_outlives_it(), pytest.raises(wrong) as caught:
        load(path, **more)
    progress = more.pop("progress", None)
    with no_thread_outlives_it(), pytest.raises(wrong) as again:
        read_rows(path, ["line"], options=Options(**more), progress=progress)
    assert caught.tb
    assert again.tb


def test_no_thread_outlives_a_screening(path, pack):
    path.write_bytes(pack(LINES * 200))
    with no_thread_outlives_it(), pytest.raises(KeyboardInterrupt) as caught:
        screen(path, ImeiSet(), progress=interrupted)
    assert caught.tb


def test_no_thread_outlives_a_silent_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        with no_thread_outlives_it(), Source(str(tmp_path / "pipe")):
            time.sleep(0.1)
    finally:
        os.close(writer)


def test_what_is_left_halfway_ends(path):
    path.write_bytes(LINES * 1000)
    one = reader.Reader(Options(), sources=[str(path)])
    with no_thread_outlives_it():
        found = one.read(str(path), one.text_blocks(str(path), delta=False))
        next(found)
        found.close()
