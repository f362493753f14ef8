"""The certificate for STARTTLS, which can be read again while mail flows (RFC 3207, RFC 8996)."""

import logging
import ssl
from pathlib import Path

from inbound.logs import event


class Certificate:
    """A certificate chain and its key, as PEM files. `context` is what new TLS sessions use."""

    def __init__(self, chain: Path, key: Path) -> None:
        """Raises OSError or ssl.SSLError when the files cannot be used."""
        self._chain, self._key = chain, key
        self.context = self._load()

    def reload(self) -> bool:
        """Read the files again; if they cannot be used, keep what there was and say so in the log."""
        try:
            self.context = self._load()
        except (OSError, ssl.SSLError) as error:
            event("certificate unusable", logging.ERROR, error=type(error).__name__)
            return False
        event("certificate loaded")
        return True

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.load_cert_chain(self._chain, self._key)
        return context
