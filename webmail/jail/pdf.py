"""PDF as the jail opens it: how many pages, and the words of the first."""

from __future__ import annotations

import codecs
import importlib
import json
import logging
import pkgutil
from io import BytesIO
from typing import Final

import pypdf
from pypdf import PasswordType, PdfReader
from pypdf._configuration import overwrite_configuration
from pypdf.errors import DependencyError, LimitReachedError

from webmail.jail.contract import Refuse, damage

_CODECS: Final = (
    "ascii latin-1 cp1250 cp1251 cp1252 cp1253 cp1254 cp1257 mac-roman charmap unicode-escape raw-unicode-escape utf-8 utf-16 "
    "utf-16-le utf-16-be utf-32 utf-32-be gb2312 gbk gb18030 big5 big5hkscs shift-jis cp932 euc-jp iso2022-jp euc-kr cp949 johab"
)
_EXAMPLE: Final = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>endobj
4 0 obj<</Length 34>>stream
BT /F 12 Tf 9 9 Td (warm) Tj ET   endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>endobj
xref
0 1
0000000000 65535 f\x20
trailer<</Size 6/Root 1 0 R>>
startxref
0
%%EOF"""


def warm() -> None:
    """Import what pypdf imports late: behind the walls no file can be opened, not even a module's."""
    logging.disable()  # it says what it read
    for module in pkgutil.walk_packages(pypdf.__path__, "pypdf."):
        if not module.name.startswith(
            "pypdf._crypt_providers."
        ):  # those for other libraries cannot be imported
            importlib.import_module(module.name)
    importlib.import_module("pypdf._crypt_providers._fallback")
    for name in _CODECS.split():
        codecs.lookup(name)
    overwrite_configuration(
        jbig2dec_binary=None,
        disable_legacy_handling=True,
        maximum_declared_stream_length=30_000_000,
        array_based_stream_maximum_output_length=20_000_000,
        zlib_maximum_output_length=20_000_000,
        zlib_maximum_recovery_input_length=500_000,
        lzw_maximum_output_length=10_000_000,
        run_length_maximum_output_length=10_000_000,
        stream_decoding_work_maximum_length=60_000_000,
        stream_parsing_work_maximum_count=1_000_000,
        page_tree_maximum_entries=20_000,
        xform_maximum_invocations_per_extraction=500,
    )
    text(_EXAMPLE, characters=100)


def text(payload: bytes, *, characters: int) -> bytes:
    """JSON of the number of pages, the first `characters` of the first page, and whether that is not all of it."""
    if b"%PDF-" not in payload[:1024]:
        raise Refuse("type")
    try:
        pages, words = _first_page(payload)
    except (Refuse, MemoryError, RecursionError):
        raise
    except LimitReachedError:
        raise Refuse("large") from None
    except DependencyError:  # a cipher that is not to be had
        raise Refuse("encrypted") from None
    except Exception as error:
        raise damage(error) from None
    return json.dumps({"pages": pages, "text": words[:characters], "cut": len(words) > characters}).encode()


def _first_page(payload: bytes) -> tuple[int, str]:
    reader = PdfReader(BytesIO(payload))
    # Many a bank's letter is encrypted with the empty password, so that it cannot be changed: anybody may read it.
    if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
        raise Refuse("encrypted")
    pages = len(reader.pages)
    if not pages:
        raise Refuse("damaged")
    return pages, reader.pages[0].extract_text()
