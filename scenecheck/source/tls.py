"""Which certificates are trusted, for Python's TLS and for FFmpeg's."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

from scenecheck.errors import UsageError

if TYPE_CHECKING:
    from scenecheck.source.base import SourceOptions


def trust_file(tls_ca: Path | None) -> str:
    """PEM file of trusted authorities: the given one, the system's, or certifi's.

    Raises UsageError when a given file holds no certificate: FFmpeg would only say "untrusted".
    """
    if tls_ca is None:
        system = ssl.get_default_verify_paths().cafile
        return system if system and Path(system).is_file() else certifi.where()
    try:
        ssl.create_default_context(cafile=str(tls_ca))
    except (OSError, ssl.SSLError):
        raise UsageError(
            "bad-option", f"--tls-ca {tls_ca}: not a readable PEM file with certificates", "give a PEM file"
        ) from None
    return str(tls_ca)


def context(options: SourceOptions) -> ssl.SSLContext:
    """TLS settings of our own connections: verified unless ``insecure``."""
    made = ssl.create_default_context(cafile=trust_file(options.tls_ca))
    if options.insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made
