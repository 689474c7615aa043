"""Servers on loopback that hold a publication: S3, SFTP and HTTPS, as their makers made them."""

import functools
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from serve.servers import HOST, Servers, accepts, free_port, until

UP = 60.0  # seconds that a server may take to start
_FOUND = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent), "/usr/sbin", "/sbin"])


@dataclass(frozen=True)
class Served:
    """A folder somewhere.

    `url` is what commands are given, `environment` what their environment needs beside it. Where a publisher
    cannot write by that URL, it writes into `folder`.
    """

    url: str
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def named(self, name: str) -> "Served":
        """A folder inside."""
        return Served(f"{self.url}/{name}", self.environment, self.folder and self.folder / name)


def program(name: str) -> str:
    """Where it is; a test that needs it is skipped without it."""
    found = shutil.which(name, path=_FOUND)
    if found is None:
        pytest.skip(f"{name}: not found")
    return found


@contextmanager
def _running(servers: Servers, command: list[str], port: int, **options: object) -> Iterator[None]:
    """A server that accepts, until it is ended."""
    server = servers.start(command, **options)
    try:

        def ready() -> bool:
            if server.process.poll() is not None:
                pytest.skip(f"{Path(command[0]).name} does not start: {server.text[-300:]}")
            return accepts(port)

        until(ready, UP)
        yield
    finally:
        server.stop(within=5)


def _s3(port: int, root: str) -> Served:
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    return Served(
        f"s3://{root}",
        {
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "nothing-to-hide",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",  # rclone sends that of the whole file
        },
    )


@contextmanager
def moto(servers: Servers, folder: Path) -> Iterator[Served]:
    """S3 in the memory of moto_server."""
    pytest.importorskip("moto", reason="moto is not installed")
    port = free_port()
    served = _s3(port, "lists")
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    with _running(servers, command, port):
        made = "import s3fs; s3fs.S3FileSystem().mkdir('lists')"
        subprocess.run([sys.executable, "-c", made], env={**os.environ, **served.environment}, check=True)
        yield served


@contextmanager
def rclone_s3(servers: Servers, folder: Path) -> Iterator[Served]:
    """S3 by rclone, over a folder."""
    port = free_port()
    (folder / "lists").mkdir()
    served = _s3(port, "lists")
    key = f"{served.environment['AWS_ACCESS_KEY_ID']},{served.environment['AWS_SECRET_ACCESS_KEY']}"
    command = [program("rclone"), "serve", "s3", "--addr", f"{HOST}:{port}", "--auth-key", key, str(folder)]
    with _running(servers, command, port, env=_home(folder)):
        yield served


@contextmanager
def rclone_sftp(servers: Servers, folder: Path) -> Iterator[Served]:
    """SFTP by rclone, with a password."""
    pytest.importorskip("paramiko", reason="paramiko is not installed")
    port = free_port()
    (folder / "lists").mkdir()
    command = [program("rclone"), "serve", "sftp", "--addr", f"{HOST}:{port}"]
    command += ["--user", "tester", "--pass", "nothing-to-hide", "--dir-cache-time", "10ms", str(folder)]
    with _running(servers, command, port, env=_home(folder)):
        yield Served(f"sftp://tester:nothing-to-hide@{HOST}:{port}/lists")


@contextmanager
def openssh(servers: Servers, folder: Path) -> Iterator[Served]:
    """SFTP by OpenSSH, with a key."""
    pytest.importorskip("paramiko", reason="paramiko is not installed")
    sshd, keygen = program("sshd"), program("ssh-keygen")
    for name in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "authorized").write_bytes((folder / "user.pub").read_bytes())
    (folder / "lists").mkdir()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it when root starts it
    port = free_port()
    settings = {
        "Port": port,
        "ListenAddress": HOST,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "no",
        "Subsystem": "sftp internal-sftp",
    }
    (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    user = pwd.getpwuid(os.geteuid()).pw_name
    with _running(servers, [sshd, "-D", "-e", "-f", str(folder / "sshd_config")], port):
        yield Served(
            f"sftp://{user}@{HOST}:{port}{folder}/lists",
            {"FSSPEC_SFTP": f'{{"key_filename": "{folder}/user", "look_for_keys": false}}'},
        )


_NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr; {user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen {host}:{port}{ssl};
        {certificate}
        root {folder}/served;
    }}
}}
"""


@contextmanager
def nginx(servers: Servers, folder: Path, *, ssl: bool = False) -> Iterator[Served]:
    """HTTP by nginx: publishers write into its folder."""
    found, port = program("nginx"), free_port()
    (folder / "served" / "lists").mkdir(parents=True)
    certificate, environment = "", {}
    if ssl:
        _certificate(folder)
        certificate = f"ssl_certificate {folder}/own.pem; ssl_certificate_key {folder}/own.key;"
        environment = {"SSL_CERT_FILE": f"{folder}/own.pem"}
    (folder / "nginx.conf").write_text(
        _NGINX.format(
            folder=folder,
            host=HOST,
            port=port,
            ssl=" ssl" if ssl else "",
            certificate=certificate,
            user="user root;" if os.geteuid() == 0 else "",
        )
    )
    with _running(
        servers, [found, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")], port
    ):
        yield Served(f"http{'s' * ssl}://{HOST}:{port}/lists", environment, folder / "served" / "lists")


def _certificate(folder: Path) -> None:
    """own.key and own.pem: a certificate of loopback that signs itself."""
    command = [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST}"]
    command += ["-keyout", str(folder / "own.key"), "-out", str(folder / "own.pem")]
    subprocess.run(command, check=True, capture_output=True)


def _home(folder: Path) -> dict[str, str]:
    """An environment in which rclone finds no configuration of anybody, and writes none."""
    return {**os.environ, "HOME": str(folder), "RCLONE_CONFIG": "/dev/null"}


SERVERS: dict[str, Callable[..., object]] = {
    "moto": moto,
    "rclone-s3": rclone_s3,
    "rclone-sftp": rclone_sftp,
    "openssh": openssh,
    "nginx-http": nginx,
    "nginx-https": functools.partial(nginx, ssl=True),
}
