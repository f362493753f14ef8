"""Small generated files for the demo mail: valid, and the same bytes at every run."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from html import escape

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)


def png(width: int, height: int, pixel: Callable[[int, int], Colour]) -> bytes:
    """An 8-bit RGB PNG of width x height pixels, each asked of `pixel(x, y)`."""
    rows = b"".join(b"\x00" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def bar_chart(
    values: Sequence[float], colour: Colour, *, height: int = 120, limit: float | None = None
) -> bytes:
    """A bar chart; `limit` draws a red line at that value."""
    top = max(*values, limit or 0.0) * 1.1
    step = 18

    def pixel(x: int, y: int) -> Colour:
        level = (height - y) / height * top
        if limit is not None and abs(level - limit) < top / height:
            return (200, 40, 40)
        index, inside = divmod(x - 6, step)
        if 0 <= index < len(values) and inside < step - 5 and level <= values[index]:
            return colour
        return (225, 228, 232) if y == height - 1 else WHITE

    return png(len(values) * step + 12, height, pixel)


def landscape(width: int = 160, height: int = 110) -> bytes:
    """A picture that passes for a holiday photograph: sky, two hills, a lake with the evening sun."""

    def pixel(x: int, y: int) -> Colour:
        sun = (x - width * 3 // 4) ** 2 + (y - height // 3) ** 2
        far_hill = height // 2 - (18 - abs(x - width // 3) // 4)
        near_hill = height * 2 // 3 - (22 - abs(x - width * 4 // 5) // 3)
        if y > height * 3 // 4:
            return (70, 120 + (y * 3 + x) % 9, 160)
        if y > near_hill:
            return (58, 104, 62)
        if y > far_hill:
            return (96, 140, 104)
        if sun < 110:
            return (255, 226, 150)
        return (250 - y // 2, 196 - y // 4, 150 + y // 2)

    return png(width, height, pixel)


def badge(colour: Colour, width: int = 96, height: int = 32) -> bytes:
    """A logo-like picture: a drop on a coloured field."""

    def pixel(x: int, y: int) -> Colour:
        inside = (x - 16) ** 2 + (y - 19) ** 2 <= 49 or (abs(x - 16) * 2 <= y - 5 and y <= 17)
        return WHITE if inside else colour

    return png(width, height, pixel)


def pdf(lines: Sequence[str]) -> bytes:
    """A one-page A4 PDF 1.4 with `lines` (Latin-1) in Helvetica, with a correct cross-reference table."""
    shown = "\n".join(
        "({}) Tj T*".format(line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)"))
        for line in lines
    )
    content = f"BT /F1 11 Tf 15 TL 60 780 Td\n{shown}\nET".encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for place in places:
        out.write(b"%010d 00000 n \n" % place)
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table))
    return out.getvalue()


def docx(paragraphs: Sequence[str]) -> bytes:
    """A word-processor document (Office Open XML) of plain paragraphs."""
    body = "".join(f'<w:p><w:r><w:t xml:space="preserve">{escape(p)}</w:t></w:r></w:p>' for p in paragraphs)
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    schemas = "http://schemas.openxmlformats.org"
    office = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    members = {
        "[Content_Types].xml": f'{head}<Types xmlns="{schemas}/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{office}"/></Types>',
        "_rels/.rels": f'{head}<Relationships xmlns="{schemas}/package/2006/relationships">'
        '<Relationship Id="rId1" '
        f'Type="{schemas}/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>'
        "</Relationships>",
        "word/document.xml": f'{head}<w:document xmlns:w="{schemas}/wordprocessingml/2006/main">'
        f"<w:body>{body}</w:body></w:document>",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in members.items():
            entry = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return out.getvalue()
