"""A certificate authority of a test."""

import datetime
import ipaddress
from pathlib import Path

import pytest

from ..servers import HOST

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """Makes certificates, of its own and of others, and writes them to a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        pytest.importorskip("cryptography")
        self.folder, self.name = folder, name
        self.key = self._key()
        self.certificate = self._signed(self._name(name), self.key, ca=True)
        self.path = self._write(f"{name}.pem", self.certificate)

    def issue(
        self, name: str, begin: datetime.timedelta = -DAY, end: datetime.timedelta = DAY
    ) -> tuple[Path, Path]:
        """The files of a certificate and its key, valid from and until so long from now."""
        from cryptography.hazmat.primitives import serialization

        key = self._key()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self.folder / f"{name}.key"
        path.write_bytes(pem)
        return self._write(f"{name}.crt", self._signed(self._name(name), key, begin, end)), path

    @staticmethod
    def _key():
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.generate_private_key(ec.SECP256R1())

    @staticmethod
    def _name(text):
        from cryptography import x509

        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def _signed(self, name, key, begin=-DAY, end=DAY, *, ca=False):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + begin)
            .not_valid_after(NOW + end)
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        if not ca:
            names = [x509.IPAddress(ipaddress.ip_address(HOST)), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, name, certificate):
        from cryptography.hazmat.primitives import serialization

        path = self.folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path
