"""What a parsed message is. Strings are clean: no NUL, no lone surrogate; one-line strings have no line end either."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from webmail.mail.address_lists import AddressList
from webmail.mail.addresses import Address

Kind = Literal["body-text", "body-html", "inline-image", "attachment", "container", "message"]

INCOMPLETE: Final = frozenset(
    (
        "too-deep",
        "too-many-parts",
        "header-cut",
        "headers-cut",
        "too-many-headers",
        "text-cut",
        "addresses-cut",
        "unreadable",
    )
)

_EXTENSIONS: Final = {
    "application/gzip": ".gz", "application/json": ".json", "application/ms-tnef": ".dat", "application/msword": ".doc",
    "application/pdf": ".pdf", "application/pgp-encrypted": ".asc", "application/pgp-keys": ".asc",
    "application/pgp-signature": ".asc", "application/pkcs7-mime": ".p7m", "application/pkcs7-signature": ".p7s",
    "application/xml": ".xml", "application/zip": ".zip", "audio/mpeg": ".mp3", "image/bmp": ".bmp", "image/gif": ".gif",
    "image/jpeg": ".jpg", "image/png": ".png", "image/svg+xml": ".svg", "image/tiff": ".tif", "image/webp": ".webp",
    "message/delivery-status": ".txt", "message/feedback-report": ".txt", "message/global": ".eml",
    "message/rfc822": ".eml", "text/calendar": ".ics", "text/csv": ".csv", "text/html": ".html", "text/plain": ".txt",
    "text/rfc822-headers": ".txt", "text/vcard": ".vcf", "text/x-vcard": ".vcf", "video/mp4": ".mp4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Header:
    """One header field as a person should read it: unfolded, encoded words decoded once, controls and bidi overrides gone."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Part:
    """One MIME part. `raw[start:end]` is its encoded body; `parent` is the number of its container, -1 for the root."""

    number: int  # its place in Message.parts: stable for the same bytes
    path: str  # "1.2" as in IMAP's BODY[1.2]; the root of a multipart message is "", that of any other "1"
    parent: int
    content_type: str
    kind: Kind
    encoding: str  # "7bit", "base64", "quoted-printable" or "uuencode"
    head: int  # where its own headers begin
    start: int
    end: int
    size: int = 0  # decoded octets
    charset: str = ""  # as declared, lower case; "" where nothing was
    disposition: str = ""  # "inline", "attachment" or ""
    name: str = ""  # safe to show and to save under; "" where none was given
    turned: bool = False  # the name held a mark that turns the direction of reading
    content_id: str = ""  # without angle brackets
    flowed: bool = False
    delsp: bool = False

    @property
    def download_name(self) -> str:
        """A name to save under, always with something in it."""
        return self.name or f"part-{self.number}{_EXTENSIONS.get(self.content_type, '.bin')}"

    @property
    def is_multipart(self) -> bool:
        return self.content_type.startswith("multipart/")


@dataclass(frozen=True, slots=True)
class Message:
    """A message as far as it could be read; `problems` says what could not."""

    size: int
    headers: tuple[Header, ...] = ()
    subject: str = ""
    sender: Address | None = None  # the first From
    from_: AddressList = AddressList()
    reply_to: AddressList = AddressList()
    to: AddressList = AddressList()
    cc: AddressList = AddressList()
    bcc: AddressList = AddressList()
    date: datetime | None = None  # aware, UTC; what the sender claims
    message_id: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    text: str = ""
    html: str | None = None
    html_parts: tuple[str, ...] = ()  # each to be cleaned and shown on its own, never joined before (EFAIL)
    text_body: tuple[
        int, ...
    ] = ()  # numbers of the parts that make the plain view, in order (RFC 8621 section 4.1.4)
    html_body: tuple[int, ...] = ()  # the same for the HTML view; may hold text/plain parts between
    problems: tuple[str, ...] = ()

    @property
    def attachments(self) -> tuple[Part, ...]:
        """What is offered for download: files and attached messages, not the images that an HTML body shows."""
        return tuple(part for part in self.parts if part.kind in ("attachment", "message"))

    @property
    def inline_images(self) -> dict[str, Part]:
        """Raster images that an HTML body of this message refers to, by Content-ID; the first one of an id wins."""
        found: dict[str, Part] = {}
        for part in self.parts:
            if part.kind == "inline-image":
                found.setdefault(part.content_id, part)
        return found

    @property
    def is_complete(self) -> bool:
        """False: a limit was met, something is not shown, and the raw message should be offered."""
        return not INCOMPLETE.intersection(self.problems)

    def header(self, name: str) -> str:
        """The first header of that name, or ""."""
        wanted = name.lower()
        return next((header.value for header in self.headers if header.name.lower() == wanted), "")

    def header_all(self, name: str) -> tuple[str, ...]:
        """Every header of that name, from the top."""
        wanted = name.lower()
        return tuple(header.value for header in self.headers if header.name.lower() == wanted)
