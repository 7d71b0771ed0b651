"""A certificate authority of the test's own: certificates that are right, and wrong in every way that matters.

Made with the openssl command, since Python's library makes none. A whole set takes a tenth of a second.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from gearjobs.tls import TlsFiles


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key."""

    certificate: Path
    key: Path

    def files(self, ca: Authority | None = None) -> TlsFiles:
        """Return the files of an end that shows this certificate, and believes that authority."""
        return TlsFiles("" if ca is None else str(ca.certificate), str(self.certificate), str(self.key))


@dataclass(frozen=True)
class Authority:
    """One that signs, and the directory of what it signed.

    Args:
        directory: empty or not there yet.
    """

    directory: Path

    @property
    def certificate(self) -> Path:
        return self.directory / "ca.pem"

    @classmethod
    def make(cls, directory: Path) -> Authority:
        """Make an authority with its own key."""
        directory.mkdir()
        authority = cls(directory)
        request = ["req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN={directory.name}"]
        authority._openssl(*request, "-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        (directory / "index.txt").touch()
        return authority

    def sign(self, name: str, *, alternative: str = "", days: int = 2, usage: str = "") -> Certificate:
        """Make a certificate with the common name.

        Args:
            name: the common name, and the files' name.
            alternative: subjectAltName, such as `IP:127.0.0.1`.
            days: how long it is good for; below 0 it ended so long ago.
            usage: extendedKeyUsage, such as `serverAuth`.
        """
        extensions = [f"subjectAltName={alternative}"] if alternative else []
        extensions += [f"extendedKeyUsage={usage}"] if usage else []
        (self.directory / f"{name}.ext").write_text("\n".join(["basicConstraints=CA:FALSE", *extensions, ""]))
        request = ["req", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"]
        self._openssl(*request)
        signing = ["x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        self._openssl(*signing, "-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        return Certificate(self.directory / f"{name}.pem", self.directory / f"{name}.key")

    def revoke(self, *certificates: Certificate) -> Path:
        """Take certificates back; return the list that says so."""
        (self.directory / "ca.conf").write_text(_CA_CONFIGURATION)
        by = ["ca", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key"]
        for one in certificates:
            self._openssl(*by, "-revoke", str(one.certificate))
        self._openssl(*by, "-gencrl", "-out", "crl.pem")
        return self.directory / "crl.pem"

    def _openssl(self, *words: str) -> None:
        made = subprocess.run(["openssl", *words], cwd=self.directory, capture_output=True, text=True, timeout=30)
        assert made.returncode == 0, made.stderr


_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
_CA_CONFIGURATION = """\
[ca]
default_ca = own
[own]
database = index.txt
default_md = sha256
default_crl_days = 2
"""
