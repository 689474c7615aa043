"""A publisher in a folder of its own, for the tests of what it signs and puts."""

from datetime import timedelta

from imeiset import Delta, EquipmentStatus, Register, Store
from imeiset.trust import keys, publish, rotate
from imeiset.trust.keys import Keys
from imeiset.trust.making import Listed
from imeiset.trust.metadata import Published
from imeiset.trust.places import Place

LIFE = timedelta(days=2)


def imei(serial):
    return f"49015420{serial:06d}"


class World:
    """Keys, a store with two lists, and a place."""

    def __init__(self, folder, *, passphrase=None, threshold=2, number=3):
        self.folder, self.keys, self.place = folder, folder / "keys", folder / "place"
        self.store, self.passphrase = folder / "eir", passphrase
        self.fingerprint = keys.new(self.keys, threshold=threshold, number=number, passphrase=passphrase)
        register = Register()
        blocked = [imei(serial) for serial in range(100)]
        register.add("stolen", blocked, status=EquipmentStatus.BLACKLISTED, reason="theft", owner="police")
        register.add_tacs("models", ["35693803"], status=EquipmentStatus.GREYLISTED)
        Store.create(self.store, register).close()

    def change(self, *serials, remove=()):
        with Store.open(self.store) as store:
            columns = {"add": [imei(one) for one in serials], "remove": [imei(one) for one in remove]}
            store.apply(Delta("stolen", **columns, by="police"))

    def publish(self, **options):
        options = {"keys": self.keys, "passphrase": self.passphrase, **options}
        return publish(options.pop("store", self.store), options.pop("url", self.place), **options)

    def rotate(self, *roles, **options):
        options = {"keys": self.keys, "passphrase": self.passphrase, **options}
        return rotate(self.place, roles=roles, **options)

    def seen(self):
        """The place, verified from the first root."""
        return Published.read(Place(self.place), Keys.of(self.keys).roots()[:1])

    def files(self):
        """All that is there, by name."""
        return files_in(self.place)


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def listed(world):
    """The editions that its place has."""
    return Listed.of(world.seen().targets, "place")


class Crash(BaseException):
    """As of a process that is killed: nothing cleans up."""


def writes(monkeypatch, at=None, before=None):
    """Count what is written to places; the write of that number, from 0, does not come about."""
    done = []

    def wrapped(name):
        real = getattr(Place, name)

        def call(self, *args):
            if at is not None and len(done) == at:
                raise Crash
            if before is not None:
                before(args[0])
            done.append((name, args[0]))
            return real(self, *args)

        monkeypatch.setattr(Place, name, call)

    for name in ("put", "put_bytes", "remove"):
        wrapped(name)
    return done
