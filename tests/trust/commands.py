"""Publishers and followers in processes of their own, which end at a call that is chosen, or at any moment.

One process imports all that is needed, and begins a child for each command: a line of JSON on stdin, with the
command, where it writes what it said, and what of its environment makes it fail; its exit code on stdout.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

# Whatever a command would import, so that it takes no longer than what it does.
_NEEDED = (
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.hazmat.primitives.serialization",
    "imeiset.cli.follow",
    "imeiset.cli.keys",
    "imeiset.cli.publish",
    "imeiset.trust.follower",
    "imeiset.trust.mirroring",
    "imeiset.trust.publisher",
    "imeiset.trust.rotation",
    "rich.progress",
    "securesystemslib.signer",
    "tuf.api.metadata",
    "tuf.ngclient",
)
STORE_TESTS = Path(__file__).parent.parent / "store"


def serve():
    """Begin a child for each line, and say how it ended."""
    from importlib import import_module

    for module in _NEEDED:
        import_module(module)
    from imeiset.__main__ import main

    for line in sys.stdin:
        arguments, said, environment = json.loads(line)
        child = os.fork()
        if not child:
            for number in (1, 2):
                os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
            os.environ.update(environment)
            sys.argv = ["imeiset", *arguments]
            code = 99
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.write(1, b"%d\n" % child)
        status = os.waitpid(child, 0)[1]
        os.write(1, b"%d\n" % os.waitstatus_to_exitcode(status))


class Commands:
    """Runs commands; `at` says at which call that changes something in `folder` they fail, and `how`.

    how: "error" (nothing is done, no space), "short" (a write does half of it), "kill" (the process ends
    before it), "after" (the process ends after it).
    """

    def __init__(self, process, scratch):
        self.process, self.scratch, self.count = process, scratch, 0
        self.said = ""

    def run(self, *arguments, folder=None, at=0, how="kill", kill_after=None):
        """The exit code, and whether the fault was reached; minus the signal where it was killed."""
        self.count += 1
        said, seen = self.scratch / f"{self.count}.said", self.scratch / f"{self.count}.seen"
        faults = {"FAULT_AT": str(at), "FAULT_HOW": how, "FAULT_SEEN": str(seen), "FAULT_DIR": str(folder)}
        if folder is None:
            faults["FAULT_AT"], faults["FAULT_DIR"] = "0", "/nowhere"
        line = json.dumps([list(map(str, arguments)), str(said), faults])
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        if kill_after is not None:
            end = time.monotonic() + kill_after
            while time.monotonic() < end:
                if select.select([self.process.stdout], [], [], max(end - time.monotonic(), 0))[0]:
                    break
            else:
                with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(child, signal.SIGKILL)
        code = int(self.process.stdout.readline())
        self.said = said.read_text() if said.exists() else ""
        reached = seen.exists()
        for path in (said, seen):
            path.unlink(missing_ok=True)
        return code, reached


@contextlib.contextmanager
def running(scratch):
    """It, with the library that makes calls fail; None where there is no compiler."""
    import imeiset

    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler or sys.platform != "linux":
        yield None
        return
    library = scratch / "faults.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, STORE_TESTS / "faults.c", "-ldl"], check=True
    )
    environment = {
        **os.environ,
        "LD_PRELOAD": f"{os.environ.get('LD_PRELOAD', '')} {library}".strip(),
        "PYTHONPATH": str(Path(imeiset.__file__).parent.parent),
    }
    process = subprocess.Popen(
        [sys.executable, __file__],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    with process:
        yield Commands(process, scratch)
        process.stdin.close()


if __name__ == "__main__":
    serve()
