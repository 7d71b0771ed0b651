"""How this project's clients, workers and screens come to its job servers: `GEARJOBS["SECURITY"]`, ready for use.

Certificates are read again when they changed on disk, at the next connection; the job server's own on SIGHUP.
"""

from __future__ import annotations

from functools import lru_cache

from gearjobs.guarded_socket import Security, make_security
from gearjobs.settings import SecuritySettings, gearjobs_settings
from gearjobs.tls import TlsFiles


def site_security() -> Security:
    """Return the project's security.

    Raises:
        UsageError: a file or the secret cannot be used.
    """
    return _make(gearjobs_settings().security)


@lru_cache(maxsize=1)
def _make(given: SecuritySettings) -> Security:
    files = TlsFiles(ca_file=given.ca_file, certificate=given.certificate, key=given.key) if given.tls else None
    return make_security(tls=files, secret=given.secret)
