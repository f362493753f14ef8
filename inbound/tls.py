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
        self._seen = self._written()
        self.context = self._load()

    def reload(self) -> bool:
        """Read the files again; if they cannot be used, keep what there was and say so in the log."""
        self._seen = self._written()
        try:
            self.context = self._load()
        except (OSError, ssl.SSLError) as error:
            event("certificate unusable", logging.ERROR, error=type(error).__name__)
            return False
        event("certificate loaded")
        return True

    def follow(self) -> None:
        """Read the files again if they were written since: a renewal that nobody told us of."""
        if self._written() != self._seen:
            self.reload()

    def _written(self) -> tuple[int, ...]:
        """When each file was written, and which it is, for a link may lead to another: certbot's do."""
        found: list[int] = []
        for path in (self._chain, self._key):
            try:
                told = path.stat()
            except OSError:
                continue
            found += (told.st_mtime_ns, told.st_ino)
        return tuple(found)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.load_cert_chain(self._chain, self._key)
        return context
