"""A publisher that lies as it is told: metadata by python-tuf, targets as the library writes them.

What `custom` holds is written here from the documentation, so that the library's own writing is not what its
reading is tested with.
"""

import datetime
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from imeiset import EquipmentStatus, Register
from imeiset.trust import delta as _delta

ROLES = ("root", "targets", "snapshot", "timestamp")
DAY = datetime.timedelta(days=1)
FIRST = 10**13  # the first IMEI of the lists, as an integer of 14 digits


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def register(lists: dict[str, Any], *, status: int = 1, owner: str = "") -> Register:
    """A register of lists of IMEIs: name to integers of 14 digits."""
    made = Register()
    for name, keys in lists.items():
        made.add(name, sorted(keys), status=EquipmentStatus(status), owner=owner)
    return made


def keys(count: int, first: int = 0) -> set[int]:
    """That many IMEIs."""
    return set(range(FIRST + first, FIRST + first + count))


class Forger:
    """Metadata and targets in a folder, and the keys of all roles.

    `roles` has the metadata of each role, unsigned, to be changed at will; `signers` who signs them.
    `publish` writes what they are by then; the versions are those that `roles` have.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signers: dict[str, list[CryptoSigner]] = {
            role: [CryptoSigner.generate_ed25519()] for role in ROLES
        }
        self.roles: dict[str, Any] = {
            "root": Root(consistent_snapshot=True, expires=now() + 365 * DAY),
            "targets": Targets(expires=now() + 90 * DAY),
            "snapshot": Snapshot(expires=now() + 30 * DAY),
            "timestamp": Timestamp(expires=now() + 2 * DAY),
        }
        self.roles["snapshot"].meta = {}
        for role in ROLES:
            self.roles["root"].add_key(self.signers[role][0].public_key, role)
        self.lists: tuple[Any, ...] = ()
        self.edition = 0
        for part in ("metadata", "targets"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self.first_root = self.write("root")

    # Metadata -----------------------------------------------------------------
    def write(self, role: str, *, signers: list[CryptoSigner] | None = None, name: str | None = None) -> Path:
        """The file of a role, signed; where it is."""
        version = self.roles[role].version
        path = self.folder / "metadata" / (name or (f"{version}." * (role != "timestamp") + f"{role}.json"))
        path.write_bytes(self.signed(self.roles[role], self.signers[role] if signers is None else signers))
        return path

    @staticmethod
    def signed(role: Signed, signers: list[CryptoSigner]) -> bytes:
        metadata = Metadata(role)
        for signer in signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def refer(self) -> None:
        """Let snapshot and timestamp name what they lead to."""
        self.roles["snapshot"].meta["targets.json"] = MetaFile(self.roles["targets"].version)
        self.roles["timestamp"].snapshot_meta = MetaFile(self.roles["snapshot"].version)

    def publish(self, *, bump: bool = True) -> None:
        """Everything but the root, in the order of a publisher."""
        if bump and (self.folder / "metadata" / "timestamp.json").exists():
            for role in ROLES[1:]:
                self.roles[role].version += 1
        self.refer()
        for role in ROLES[1:]:
            self.write(role)

    def new_root(self, *, signers: list[CryptoSigner] | None = None) -> Path:
        """The next root, signed by the keys of the last one and its own."""
        self.roles["root"].version += 1
        if signers is None:
            signers = [*{s.public_key.keyid: s for s in [*self.last_root, *self.signers["root"]]}.values()]
        path = self.write("root", signers=signers)
        self.last_root = list(self.signers["root"])
        return path

    @property
    def last_root(self) -> list[CryptoSigner]:
        return getattr(self, "_last_root", self.signers["root"])

    @last_root.setter
    def last_root(self, signers: list[CryptoSigner]) -> None:
        self._last_root = signers

    def rotate(self, role: str, count: int = 1, threshold: int = 1) -> None:
        """Other keys for a role; `new_root` says so to the world."""
        if role == "root":
            self.last_root = list(self.signers["root"])
        root = self.roles["root"]
        for keyid in list(root.roles[role].keyids):
            root.revoke_key(keyid, role)
        self.signers[role] = [CryptoSigner.generate_ed25519() for _ in range(count)]
        for signer in self.signers[role]:
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = threshold

    # Targets ------------------------------------------------------------------
    def custom(self, kind: str, lists: Any, policy: Any = None, **changed: Any) -> dict[str, Any]:
        """What a target says of itself."""
        about: dict[str, Any] = {
            "imeiset": 1,
            "kind": kind,
            "edition": self.edition,
            "time": now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lists": {
                one.name: {
                    "status": int(one.status),
                    "kind": one.kind,
                    "reason": one.reason,
                    "counts": one.counts(),
                    "digest": one.digest().hex(),
                }
                for one in lists
            },
        }
        if kind == "delta":
            about["from"] = self.edition - 1
        else:
            about["policy"] = {**asdict(policy), "precedence": list(policy.precedence)}
        return {**about, **changed}

    def target(self, name: str, data: bytes, custom: Any) -> TargetFile:
        """A file, and what the metadata of targets says of it."""
        digest = hashlib.sha256(data).hexdigest()
        folder, _, last = name.rpartition("/")
        if ".." not in name and not folder:
            (self.folder / "targets" / f"{digest}.{last}").write_bytes(data)
        about = {"length": len(data), "hashes": {"sha256": digest}, "custom": custom}
        self.roles["targets"].targets[name] = TargetFile.from_dict(about, name)
        return self.roles["targets"].targets[name]

    def path_of(self, name: str) -> Path:
        """The file of a target."""
        return self.folder / "targets" / f"{self.roles['targets'].targets[name].hashes['sha256']}.{name}"

    def base(self, given: Register | dict[str, Any], *, name: str | None = None, **changed: Any) -> str:
        """A base of these lists as the next edition; its name."""
        made = given if isinstance(given, Register) else register(given)
        self.edition += 1
        self.lists = made.lists
        path = self.folder / "made.imei"
        made.save(path)
        name = f"base-{self.edition:08d}.imei" if name is None else name
        self.target(name, path.read_bytes(), self.custom("base", made.lists, made.policy, **changed))
        return name

    def delta(
        self,
        given: Register | dict[str, Any],
        *,
        name: str | None = None,
        old: Any = None,
        told: Any = None,
        **changed: Any,
    ) -> str:
        """What leads to these lists, as the next edition; its name. old: other lists to come from; told:
        other lists to tell of in `custom`."""
        made = given if isinstance(given, Register) else register(given)
        self.edition += 1
        path = self.folder / "made.imei"
        _delta.write(path, self.lists if old is None else old, made.lists)
        self.lists = made.lists
        name = f"delta-{self.edition:08d}.imei" if name is None else name
        self.target(name, path.read_bytes(), self.custom("delta", told or made.lists, **changed))
        return name

    def amend(self, name: str, **changed: Any) -> None:
        """Say something else of a target; None leaves a field out."""
        custom = {**self.roles["targets"].targets[name].custom, **changed}
        self.roles["targets"].targets[name].unrecognized_fields["custom"] = {
            key: value for key, value in custom.items() if value is not None
        }

    def edit(self, role: str, change: Any) -> None:
        """Change the JSON of a file that is published, without a new signature."""
        version = self.roles[role].version
        path = self.folder / "metadata" / (f"{version}." * (role != "timestamp") + f"{role}.json")
        about = json.loads(path.read_bytes())
        change(about)
        path.write_text(json.dumps(about))
