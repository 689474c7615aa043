"""The attacks of TUF's conformance tests on a follower: by somebody between, and by one with some keys."""

import copy
import json
import shutil

import pytest

pytest.importorskip("tuf", reason="the extra follow is not installed")

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import MetaFile

from imeiset.errors import TrustRefused, TrustStale, TrustUnreachable

from .following import Following, begun, held
from .forger import DAY, ROLES, Forger, keys, now

LISTS = {"stolen": keys(20), "lost": keys(10, 100)}
MORE = {"stolen": keys(22), "lost": keys(10, 100)}
MOST = {"stolen": keys(24), "lost": keys(10, 100)}


@pytest.fixture
def forger(tmp_path):
    """A publication of edition 1, a base."""
    made = Forger(tmp_path / "published")
    made.base(LISTS)
    made.publish()
    return made


@pytest.fixture
def follower(forger, tmp_path):
    """It follows edition 1."""
    made = begun(forger.folder, forger.first_root, tmp_path)
    assert made.members() == LISTS
    return made


# Somebody between the publisher and the follower, without a key ---------------
def unsigned(about):
    about["signatures"] = []


def signed_by_a_stranger(about):
    stranger = CryptoSigner.generate_ed25519()
    about["signatures"] = [
        {**one, "sig": stranger.sign(json.dumps(about["signed"]).encode()).signature}
        for one in about["signatures"]
    ]


def later(about):
    about["signed"]["expires"] = "2099-01-01T00:00:00Z"


def newer(about):
    about["signed"]["version"] += 1


def twice_signed(about):
    about["signatures"] *= 2


def of_another_kind(about):
    about["signed"]["_type"] = "root"


def of_no_version(about):
    del about["signed"]["version"]


def of_another_specification(about):
    about["signed"]["spec_version"] = "2.0.0"


EDITS = (
    unsigned,
    signed_by_a_stranger,
    later,
    newer,
    twice_signed,
    of_another_kind,
    of_no_version,
    of_another_specification,
)
JUNK = {
    "empty": b"",
    "text": b"Please log in",
    "list": b"[]",
    "null": b"null",
    "number": b"1" * 5_000,
    "deep": b"[" * 10_000 + b"]" * 10_000,
    "deep objects": b'{"signed":' * 2_000 + b"1" + b"}" * 2_000,
    "not UTF-8": b'{"signed": "\xff"}',
    "surrogate": b'{"signed": {"_type": "\\ud800"}, "signatures": []}',
    "endless": b" " * 6_000_000,
    "twice": b'{"signed": {}, "signed": {}, "signatures": []}',
    "zeros": bytes(1_000),
}


def last_path(forger, role):
    version = forger.roles[role].version
    return forger.folder / "metadata" / (f"{version}." * (role != "timestamp") + f"{role}.json")


def then_the_publisher_is_back(forger, follower, good):
    """What somebody between did stops nobody when he is gone."""
    shutil.rmtree(forger.folder)
    shutil.copytree(good, forger.folder)
    follower.step()
    assert follower.members() == MORE
    assert follower.edition == 2


@pytest.fixture
def good(forger, follower, tmp_path):
    """A copy of what the publisher has by now: edition 2, which the follower has not yet."""
    forger.delta(MORE)
    forger.publish()
    return shutil.copytree(forger.folder, tmp_path / "good")


@pytest.mark.parametrize("role", ROLES[1:])
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_metadata_that_somebody_changed_is_refused(forger, follower, good, role, edit):
    forger.edit(role, edit)
    follower.expect_refusal(TrustRefused, rf"{role}")
    then_the_publisher_is_back(forger, follower, good)


@pytest.mark.parametrize("role", ROLES[1:])
@pytest.mark.parametrize("junk", JUNK)
def test_metadata_that_is_none_is_refused(forger, follower, good, role, junk):
    last_path(forger, role).write_bytes(JUNK[junk])
    follower.expect_refusal(TrustRefused, rf"{role}")
    then_the_publisher_is_back(forger, follower, good)


@pytest.mark.parametrize("role", ROLES[1:])
def test_metadata_that_is_missing_is_told_apart_from_what_is_false(forger, follower, good, role):
    last_path(forger, role).unlink()
    follower.expect_refusal(TrustUnreachable, rf"{role}")
    then_the_publisher_is_back(forger, follower, good)


@pytest.mark.parametrize("role", ROLES[1:])
def test_one_role_is_no_other(forger, follower, good, role):
    """A file that is validly signed, under the name of another."""
    other = ROLES[1:][(ROLES[1:].index(role) + 1) % 3]
    shutil.copy(last_path(forger, other), last_path(forger, role))
    follower.expect_refusal(TrustRefused, rf"{role}")
    then_the_publisher_is_back(forger, follower, good)


@pytest.mark.parametrize("lost", [False, True], ids=["", "and TUF's files here are lost"])
def test_a_rollback_of_everything(forger, follower, tmp_path, lost):
    before = shutil.copytree(forger.folder, tmp_path / "before")
    forger.delta(MORE)
    forger.publish()
    follower.step()
    shutil.rmtree(forger.folder)
    shutil.copytree(before, forger.folder)
    if lost:
        follower.forget()
    follower.expect_refusal(TrustRefused, "rolled back|older|went back")


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_a_mix_of_old_and_new(forger, follower, good, role):
    """An old file, validly signed, under the name of the new one."""
    version = forger.roles[role].version
    shutil.copy(forger.folder / "metadata" / f"{version - 1}.{role}.json", last_path(forger, role))
    follower.expect_refusal(TrustRefused, rf"{role}")
    then_the_publisher_is_back(forger, follower, good)


TARGETS = {
    "a bit": lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
    "cut": lambda data: data[:-1],
    "longer": lambda data: data + b"x",
    "empty": lambda data: b"",
    "other": lambda data: bytes(len(data)),
    "endless": lambda data: data + bytes(10_000_000),
}


@pytest.mark.parametrize("fresh", [False, True], ids=["delta", "base"])
@pytest.mark.parametrize("how", TARGETS)
def test_a_target_that_somebody_changed(forger, follower, good, tmp_path, how, fresh):
    if fresh:
        follower.store = tmp_path / "fresh"
    for path in (forger.folder / "targets").iterdir():
        path.write_bytes(TARGETS[how](path.read_bytes()))
    kept = {path.name for path in tmp_path.rglob("*")}
    short = how in ("cut", "empty")  # what a connection that ends leaves, too
    follower.expect_refusal((TrustUnreachable if short else TrustRefused), r"base-00000001|delta-00000002")
    assert held(follower.store) is None or follower.members() == LISTS
    big = [p for p in tmp_path.rglob("*") if p.stat().st_size > 1_000_000 and "served" not in str(p)]
    assert all("published" in str(p) for p in big), "no more than the length is kept"
    assert kept
    then_the_publisher_is_back(forger, follower, good)


def test_a_target_that_is_missing(forger, follower, good):
    for path in (forger.folder / "targets").iterdir():
        path.unlink()
    follower.expect_refusal(TrustUnreachable, "delta-00000002|base-00000001")
    then_the_publisher_is_back(forger, follower, good)


def test_one_target_for_another(forger, follower, good):
    base, delta = sorted(forger.roles["targets"].targets)
    shutil.copy(forger.path_of(base), forger.path_of(delta))
    follower.expect_refusal(TrustRefused, "delta-00000002")
    then_the_publisher_is_back(forger, follower, good)


# Somebody with the keys of some roles ------------------------------------------
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_what_has_expired_is_stale(forger, follower, role):
    forger.delta(MORE)
    forger.roles[role].expires = now() - DAY
    forger.publish()
    follower.expect_refusal(TrustStale, "expired.*clock|clock.*expired")
    forger.roles[role].expires = now() + DAY
    forger.publish()
    follower.step()
    assert follower.members() == MORE


def test_a_root_that_has_expired_is_stale(forger, follower):
    forger.delta(MORE)
    forger.publish()
    forger.roles["root"].expires = now() - DAY
    forger.new_root()
    follower.expect_refusal(TrustStale, "root.*expired")
    forger.roles["root"].expires = now() + DAY
    forger.new_root()
    follower.step()
    assert follower.members() == MORE


def test_expired_between_is_no_matter(forger, follower):
    """The root between the one that is known and the last."""
    forger.roles["root"].expires = now() - DAY
    forger.new_root()
    forger.roles["root"].expires = now() + DAY
    forger.new_root()
    forger.delta(MORE)
    forger.publish()
    follower.step()
    assert follower.members() == MORE


def test_frozen(forger, follower):
    """Nobody publishes any more: stale, and the state serves on."""
    forger.roles["timestamp"].expires = now() - DAY
    forger.roles["timestamp"].version += 1
    forger.write("timestamp")
    follower.expect_refusal(TrustStale, "expired")


def snapshot_goes_back(forger):
    forger.roles["snapshot"].version -= 1
    forger.refer()
    forger.roles["timestamp"].version += 1
    for role in ("snapshot", "timestamp"):
        forger.write(role)


def targets_go_back(forger):
    forger.roles["targets"].version -= 1
    forger.roles["snapshot"].version += 1
    forger.roles["timestamp"].version += 1
    forger.refer()
    for role in ROLES[1:]:
        forger.write(role)


def timestamp_goes_back(forger):
    forger.roles["timestamp"].version -= 1
    forger.write("timestamp")


def targets_are_left_out(forger):
    forger.roles["snapshot"].version += 1
    forger.roles["timestamp"].version += 1
    forger.refer()
    forger.roles["snapshot"].meta = {"other.json": MetaFile(1)}
    for role in ROLES[2:]:
        forger.write(role)


def snapshot_is_not_the_one(forger):
    """timestamp.json names a version that the file does not have."""
    forger.roles["timestamp"].version += 1
    forger.refer()
    forger.roles["timestamp"].snapshot_meta.version += 1
    forger.write("timestamp")
    forger.write("snapshot", name=f"{forger.roles['snapshot'].version + 1}.snapshot.json")


def targets_are_not_the_ones(forger):
    forger.roles["snapshot"].version += 1
    forger.roles["timestamp"].version += 1
    forger.refer()
    forger.roles["snapshot"].meta["targets.json"].version += 1
    for role in ROLES[2:]:
        forger.write(role)
    forger.write("targets", name=f"{forger.roles['targets'].version + 1}.targets.json")


def _with_hash(role, **wrong):
    def change(forger):
        for one in ROLES[1:]:
            forger.roles[one].version += 1
        forger.refer()
        meta = MetaFile(forger.roles[role].version, **wrong)
        if role == "snapshot":
            forger.roles["timestamp"].snapshot_meta = meta
        else:
            forger.roles["snapshot"].meta["targets.json"] = meta
        for one in ROLES[1:]:
            forger.write(one)

    change.__name__ = f"{role} has another {next(iter(wrong))}"
    return change


INSIDE = (
    snapshot_goes_back,
    targets_go_back,
    timestamp_goes_back,
    targets_are_left_out,
    snapshot_is_not_the_one,
    targets_are_not_the_ones,
    *(
        _with_hash(role, **wrong)
        for role in ("snapshot", "targets")
        for wrong in ({"length": 10}, {"hashes": {"sha256": "0" * 64}}, {"hashes": {"md4": "0" * 32}})
    ),
)


@pytest.mark.parametrize("change", INSIDE, ids=lambda change: change.__name__)
def test_who_has_the_online_keys_cannot_go_back_or_mix(forger, follower, change):
    forger.delta(MORE)
    forger.publish()
    follower.step()
    before = held(follower.store)
    forger.delta(MOST)
    change(forger)
    follower.expect_refusal(TrustRefused, "timestamp|snapshot|targets")
    assert held(follower.store) == before


def test_another_timestamp_of_the_same_version_is_refused(forger, follower):
    """It is not followed, and it is not what was seen: nobody knows what is current."""
    forger.roles["timestamp"].snapshot_meta.version = 100
    forger.write("timestamp")
    follower.expect_refusal(TrustRefused, "timestamp")


@pytest.mark.parametrize("thief", ["snapshot", "timestamp", "root"])
def test_targets_are_signed_by_nobody_else(forger, follower, thief):
    """Who has the online keys cannot make an edition."""
    forger.delta(MORE)
    forger.signers["targets"] = forger.signers[thief]
    forger.publish()
    follower.expect_refusal(TrustRefused, "targets.*sign|sign.*targets")


@pytest.mark.parametrize("role", ROLES[1:])
@pytest.mark.parametrize("signs", ["one of two", "one twice", "two of two"])
def test_a_threshold_is_of_keys(forger, follower, role, signs):
    forger.rotate(role, count=2, threshold=2)
    forger.new_root()
    signers = forger.signers[role]
    if signs != "two of two":
        forger.signers[role] = signers[:1]
    forger.delta(MORE)
    forger.publish()
    if signs == "one twice":
        other = signers[1].public_key.keyid
        forger.edit(
            role, lambda about: about["signatures"].append({**about["signatures"][0], "keyid": other})
        )
    if signs == "two of two":
        follower.step()
        assert follower.members() == MORE
    else:
        follower.expect_refusal(TrustRefused, rf"{role}")


@pytest.mark.parametrize("role", ROLES[1:])
def test_a_key_that_was_stolen_and_rotated_signs_nothing_any_more(forger, follower, role):
    old = forger.signers[role]
    forger.rotate(role)
    forger.new_root()
    new = forger.signers[role]
    forger.delta(MORE)
    forger.signers[role] = old
    forger.publish()
    follower.expect_refusal(TrustRefused, rf"{role}")
    forger.signers[role] = new
    forger.publish()
    follower.step()
    assert follower.members() == MORE


@pytest.mark.parametrize(
    "roles", [("timestamp",), ("snapshot", "timestamp"), ("targets", "snapshot", "timestamp")]
)
def test_fast_forward_and_its_recovery(forger, follower, roles):
    """Who stole keys writes enormous versions; the publisher rotates and begins again at small ones."""
    honest = {role: copy.deepcopy(forger.roles[role]) for role in roles}
    for role in roles:
        forger.roles[role].version = 2**40
    forger.publish(bump=False)
    follower.step()
    for role in roles:
        forger.roles[role] = honest[role]
    forger.delta(MORE)
    forger.publish()
    follower.expect_refusal(TrustRefused, "rolled back|older|went back|version")
    for role in {*roles, "snapshot", "timestamp"} if "targets" in roles else roles:
        forger.rotate(role)
    forger.new_root()
    forger.publish()
    follower.step()
    assert follower.members() == MORE


# Roots --------------------------------------------------------------------------
# Keys of the root, their threshold, who signs, and whether it is followed; the first is what followers have.
CHAINS = {
    "1 of 1, rotated": [((1,), 1, (1,)), ((2,), 1, (2, 1)), ((2,), 1, (2,))],
    "signatures of strangers beside": [((1,), 1, (3, 1, 4)), ((2,), 1, (3, 2, 1, 4)), ((2,), 1, (3, 2, 4))],
    "3 of 5, other signers": [(range(5), 3, (0, 2, 4)), (range(5), 3, (0, 4, 1)), (range(5), 3, (0, 1, 3))],
    "3 of 5, one rotated": [(range(5), 3, (0, 2, 4)), ((0, 1, 3, 4, 5), 3, (0, 4, 1))],
    "3 of 5, one rotated at leisure": [
        (range(5), 3, (0, 2, 4)),
        ((0, 1, 3, 4, 5), 3, (0, 2, 4, 5)),
        ((0, 1, 3, 4, 5), 3, (0, 4, 5)),
    ],
    "3 of 5, all rotated": [
        (range(5), 3, (0, 2, 4)),
        (range(5, 10), 3, (0, 2, 4, 5, 6, 7)),
        (range(5, 10), 3, (5, 6, 7)),
    ],
    "threshold raised": [((1, 2, 3), 1, (1,)), ((1, 2, 3), 2, (1, 2))],
    "threshold lowered": [((1, 2, 3), 2, (1, 2)), ((1, 2, 3), 1, (1, 2)), ((1, 2, 3), 1, (1,))],
    "key and threshold added": [((1,), 1, (1,)), ((1, 2), 2, (1, 2))],
}
BROKEN = {
    "not signed by the old key": [((1,), 1, (1,)), ((2,), 1, (2, 3, 4))],
    "not signed by the new key": [((1,), 1, (1,)), ((2,), 1, (1, 3, 4))],
    "not signed by three of the new": [(range(5), 3, (0, 2, 4)), ((0, 1, 3, 4, 5), 3, (0, 2, 4))],
    "not signed by three of the old": [(range(5), 3, (0, 2, 4)), ((0, 1, 3, 4, 5), 3, (0, 4, 5))],
    "the new threshold not reached": [((1, 2, 3), 1, (1,)), ((1, 2, 3), 2, (2,))],
    "the old threshold not reached": [((1, 2, 3), 2, (1, 2)), ((1, 2, 3), 1, (1,))],
    "not signed": [((1,), 1, (1,)), ((1,), 1, ())],
}


def chain(folder, roots):
    """A publication whose roots are these."""
    made, all_keys = Forger(folder), [CryptoSigner.generate_ed25519() for _ in range(10)]
    for version, (has, threshold, signs) in enumerate(roots, 1):
        root = made.roles["root"]
        root.version = version
        for keyid in list(root.roles["root"].keyids):
            root.revoke_key(keyid, "root")
        for number in has:
            root.add_key(all_keys[number].public_key, "root")
        root.roles["root"].threshold = threshold
        made.write("root", signers=[all_keys[number] for number in signs])
    made.base(LISTS)
    made.publish()
    return made


@pytest.mark.parametrize("late", [False, True], ids=["from nothing", "behind"])
@pytest.mark.parametrize("roots", CHAINS)
def test_roots_that_follow_each_other(tmp_path, roots, late):
    made = chain(tmp_path / "published", CHAINS[roots])
    follower = Following(made.folder, tmp_path / "store", made.first_root)
    if late:
        later_roots = [made.folder / "metadata" / f"{n}.root.json" for n in range(2, len(CHAINS[roots]) + 1)]
        saved = {path: path.read_bytes() for path in later_roots}
        for path in later_roots:
            path.unlink()
        follower.step()
        for path, data in saved.items():
            path.write_bytes(data)
    follower.step()
    assert follower.members() == LISTS


@pytest.mark.parametrize("roots", BROKEN)
def test_roots_that_do_not_follow_each_other(tmp_path, roots):
    made = chain(tmp_path / "published", BROKEN[roots])
    follower = Following(made.folder, tmp_path / "store", made.first_root)
    follower.expect_refusal(TrustRefused, "root")
    assert held(follower.store) is None


def gap(forger):
    """The root between is missing: what follows is not reached, and its keys are not known."""
    forger.rotate("targets")
    path = forger.new_root()
    forger.new_root()
    path.unlink()


def another_number(forger):
    forger.rotate("targets")
    forger.roles["root"].version += 1
    forger.new_root()
    (forger.folder / "metadata" / "3.root.json").rename(forger.folder / "metadata" / "2.root.json")


def the_old_one_again(forger):
    shutil.copy(forger.first_root, forger.folder / "metadata" / "2.root.json")


def junk(name):
    def write(forger):
        (forger.folder / "metadata" / "2.root.json").write_bytes(JUNK[name])

    write.__name__ = f"junk: {name}"
    return write


def of_other_keys(forger):
    shutil.copy(Forger(forger.folder / "other").first_root, forger.folder / "metadata" / "2.root.json")


ROOTS = (gap, another_number, the_old_one_again, of_other_keys, *map(junk, JUNK))


@pytest.mark.parametrize("change", ROOTS, ids=lambda change: change.__name__)
def test_a_chain_of_roots_that_somebody_broke(forger, follower, change):
    change(forger)
    forger.delta(MORE)
    forger.publish()
    follower.expect_refusal(TrustRefused, "targets" if change is gap else "root")


def first_root_edited(edit):
    def change(path, forger):
        about = json.loads(path.read_bytes())
        edit(about)
        path.write_text(json.dumps(about))

    change.__name__ = edit.__name__
    return change


def of_another_publisher(path, forger):
    shutil.copy(Forger(forger.folder / "other").first_root, path)


def metadata_of_targets(path, forger):
    shutil.copy(forger.folder / "metadata" / "1.targets.json", path)


def junk_given(name):
    def change(path, forger):
        path.write_bytes(JUNK[name])

    change.__name__ = f"junk: {name}"
    return change


GIVEN = (
    of_another_publisher,
    metadata_of_targets,
    *(first_root_edited(edit) for edit in EDITS if edit is not of_another_kind),
    *map(junk_given, JUNK),
)


@pytest.mark.parametrize("change", GIVEN, ids=lambda change: change.__name__)
def test_a_root_given_that_is_none(forger, tmp_path, change):
    root = tmp_path / "root.json"
    shutil.copy(forger.first_root, root)
    change(root, forger)
    follower = Following(forger.folder, tmp_path / "store", root)
    follower.expect_refusal(TrustRefused, "root" if change is not of_another_publisher else "sign")
    assert held(follower.store) is None


def test_a_root_given_that_is_not_there(forger, tmp_path):
    follower = Following(forger.folder, tmp_path / "store", tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        follower.step()
    assert follower.command().exit_code == 2
    assert held(follower.store) is None


def test_names_beside_snapshots(forger, follower):
    """A root that turns consistent snapshots off is refused, or followed to the same end: never half."""
    before = held(follower.store)
    forger.roles["root"].consistent_snapshot = False
    forger.new_root()
    forger.delta(MORE)
    forger.publish()
    follower.expect_refusal(TrustRefused, "consistent|snapshot")
    assert held(follower.store) == before


def test_fields_of_others_are_let_be(forger, follower):
    root = forger.roles["root"]
    root.unrecognized_fields["more"] = {"a": [1]}
    root.keys[root.roles["root"].keyids[0]].unrecognized_fields["extra"] = 1
    forger.new_root()
    forger.roles["targets"].unrecognized_fields["more"] = "x"
    forger.roles["timestamp"].unrecognized_fields["more"] = "x"
    forger.delta(MORE)
    forger.amend("delta-00000002.imei", more={"a": 1})
    forger.publish()
    follower.step()
    assert follower.members() == MORE


def test_delegated_targets_are_not_followed(forger, follower):
    """A file that the snapshot names beside, of a role that nobody gave anything."""
    forger.delta(MORE)
    forger.publish()
    forger.roles["snapshot"].meta["../../other.json"] = MetaFile(1)
    for role in ("snapshot", "timestamp"):
        forger.roles[role].version += 1
    forger.roles["timestamp"].snapshot_meta = MetaFile(forger.roles["snapshot"].version)
    forger.write("snapshot")
    forger.write("timestamp")
    follower.step()
    assert follower.members() == MORE
