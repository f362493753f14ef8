"""What somebody may have forgotten: read from their own words alone, never from what they quote. Pure."""

import re
import unicodedata

from webmail.mail import text

MANY_RECIPIENTS = 10
"""An answer to more people than this is worth a second look."""

# Beginnings of words that say "attached" in the languages that most mail is written in; matched without their accents.
_ATTACHED = re.compile(
    r"\b(?:attach(?:ed|ing|ment|ments)|enclos(?:ed|ing|ure|ures)"
    r"|anbei|anhang|anhange|angehangt|beigefugt|anlage|anlagen|im anhang"
    r"|ci-joint|ci-jointe|ci-jointes|ci-joints|piece jointe|pieces jointes|en piece jointe"
    r"|adjunto|adjunta|adjuntos|adjuntas|adjuntamos"
    r"|em anexo|anexo|anexos|anexado|anexada|segue anexo"
    r"|allegato|allegata|allegati|in allegato"
    r"|bijlage|bijlagen|bijgevoegd"
    r"|bifogad|bifogat|bifogar|bilaga|bilagor|vedlagt|vedhaeftet|vedhæftet|liite|liitteena|oheinen"
    r"|w zalaczeniu|zalacznik|zalaczam|v priloze|priloha|prilozhen\w*|csatolt\w*|csatolmany"
    r"|во вложении|вложение|вложения|прилагаю|у вкладенні"
    r"|ekte|ekteki|lampiran|terlampir|kèm theo|dinh kem|đinh kem)\b"
    r"|添付|附件|附檔|随信附上|첨부|مرفق|المرفق|מצורף|संलग्न",
    re.IGNORECASE,
)
_MAX = 100_000


def own_words(body: str) -> str:
    """What the writer wrote: without quotes, forwarded mail and the signature."""
    lines = body[:_MAX].replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines):
        if line.startswith("---------- "):
            lines = lines[:number]
            break
    return "\n".join(block.text for block in text.fold_quotes("\n".join(lines)) if block.kind == "text")


def speaks_of_files(subject: str, body: str) -> bool:
    """Whether the writer says that something is attached. The subject of an answer is somebody else's and does not count."""
    said = own_words(body) if ":" in subject[:12] else f"{subject}\n{own_words(body)}"
    return bool(_ATTACHED.search(said) or _ATTACHED.search(_bare(said)))


def _bare(words: str) -> str:
    decomposed = unicodedata.normalize("NFD", words)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def is_slip_of(address: str, other: str) -> bool:
    """Whether `address` is one letter away from `other`: one more, one less, another, or two neighbours swapped. Linear.

    Numbers do not count: team1@ and team2@ are two addresses, and both are meant.
    """
    one, two = address.lower(), other.lower()
    if one == two or abs(len(one) - len(two)) > 1 or min(len(one), len(two)) < 8:
        return False
    start = 0
    while start < min(len(one), len(two)) and one[start] == two[start]:
        start += 1
    a, b = one[start:], two[start:]
    near = a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
    return near and not (a[:1].isdigit() or b[:1].isdigit())
