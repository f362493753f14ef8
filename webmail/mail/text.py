"""Plain text as mail has it: quoting, format=flowed (RFC 3676), and where a reply ends and what it quotes begins.

Nothing is lost here: every line that is not blank comes out again, in order. All of it is linear.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

WIDTH: Final = 72  # columns of flowed text; RFC 3676 section 4.2 says 78 at most
_MAX_DEPTH: Final = 100  # more ">" than this are text

_QUOTE_MARKS = re.compile(r"(?:>[ ]?){1,100}")


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines of one kind. `depth` is the quote level, 0 for text that is not quoted; a quote's marks are taken off,
    and so is the line that begins a signature."""

    kind: Literal["text", "quote", "signature"]
    depth: int
    text: str


def quote(text: str, who_line: str) -> str:
    """Text quoted for a reply: `who_line`, then every line behind one more ">", without the signature of the one quoted."""
    lines = text.rstrip().split("\n")
    for number, line in enumerate(lines):
        if line in ("-- ", "--\u00a0"):
            lines = lines[:number]
            break
    while lines and not lines[-1].strip():
        lines.pop()
    while lines and not lines[0].strip():
        lines.pop(0)
    quoted = "".join(f">{line}\n" if line.startswith(">") else f"> {line}".rstrip() + "\n" for line in lines)
    return f"{who_line}\n{quoted}" if who_line else quoted


def _depth(line: str) -> tuple[int, str]:
    """Quote level of a line and the rest of it, as people write them: "> > a" and ">> a" are both two deep."""
    marks = _QUOTE_MARKS.match(line)
    if not marks:
        return 0, line
    return marks[0].count(">"), line[marks.end() :]


def unflow(text: str, delsp: bool = False) -> str:
    """Paragraphs out of format=flowed (RFC 3676 section 4): soft breaks joined, space-stuffing undone, quote levels kept as
    marks before each paragraph. A line of text that itself begins with ">" keeps one space, so that it stays text."""
    out: list[str] = []
    pieces: list[str] = []
    open_depth = -1  # the quote level of the paragraph being joined; -1: none

    def end_paragraph() -> None:
        nonlocal open_depth
        if open_depth >= 0:
            out.append(_marked("".join(pieces), open_depth))
            pieces.clear()
            open_depth = -1

    for line in text.split("\n"):
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        body = bare.removeprefix(" ")
        if open_depth >= 0 and (depth != open_depth or body == "-- "):
            end_paragraph()  # an improper flow: RFC 3676 section 4.5
        flows = body.endswith(" ") and body != "-- "
        pieces.append(body[:-1] if flows and delsp else body)
        open_depth = depth
        if not flows:
            end_paragraph()
    end_paragraph()
    return "\n".join(out)


def _marked(body: str, depth: int) -> str:
    if depth:
        return f"{'>' * min(depth, _MAX_DEPTH)} {body}" if body else ">" * min(depth, _MAX_DEPTH)
    return " " + body if body.startswith(">") else body


def flow(text: str, width: int = WIDTH) -> str:
    """Text as format=flowed (RFC 3676): paragraphs broken at spaces with a soft break, lines space-stuffed. A line that begins
    with ">" is a quote of that depth. A word longer than a line stays whole."""
    out: list[str] = []
    for line in text.split("\n"):
        depth, body = _depth(line) if line.startswith(">") else (0, line)
        if body == "-- ":
            out.append(">" * depth + (" " if depth else "") + body)
            continue
        for piece in _wrapped(body.rstrip(" "), max(width - depth - 1, 20)):
            stuffed = " " if depth or piece.startswith((" ", ">", "From ")) else ""
            out.append((">" * depth + stuffed + piece) if piece or not depth else ">" * depth)
    return "\n".join(out)


def _wrapped(body: str, width: int) -> list[str]:
    """Lines of at most `width` columns; all but the last end in the space they are broken at."""
    lines, start = [], 0
    while len(body) - start > width:
        cut = body.rfind(" ", start, start + width)
        if cut < start or not body[start:cut].strip():
            cut = body.find(" ", start + width)
        if cut < 0:
            break
        while cut + 1 < len(body) and body[cut + 1] == " ":
            cut += 1
        lines.append(body[start : cut + 1])
        start = cut + 1
    lines.append(body[start:])
    return lines


# "On <date>, <person> wrote:" and its like. Each begins and ends as given, on one line or two, with something like a date or an
# address between.
_WROTE: Final = (
    (("on ", "at ", "in "), ("wrote:", "writes:", "said:")),
    (("am ", "on ", "um "), ("schrieb:", "schrieben:", "geschrieben:")),
    (("le ", "on "), ("a écrit :", "a écrit:", "écrit :", "écrit:", "a ecrit :")),
    (("el ", "en "), ("escribió:", "escribio:", "escribió :")),
    (("em ", "a ", "no dia "), ("escreveu:", "escreveu :")),
    (("il ", "in data ", "on "), ("ha scritto:", "scrive:", "scritto:")),
    (("op ",), ("schreef:", "het volgende geschreven:")),
    (("den ", "på ", "on "), ("skrev:", "skreiv:", "følgende:")),
    (("w dniu ", "dnia ", "dn. "), ("napisał:", "napisał(a):", "napisała:", "pisze:")),
    (("dne ", "dňa "), ("napsal:", "napsal(a):", "napísal:", "napísal(a):")),
    (("în ", "pe "), ("a scris:",)),
    (("vào ",), ("đã viết:",)),
    (("pada ",), ("menulis:",)),
)
_WROTE_ENDS: Final = (  # enough by themselves where the line holds an address or a year
    "wrote:", "schrieb:", "a écrit :", "a écrit:", "escribió:", "escreveu:", "ha scritto:", "schreef:", "skrev:", "kirjoitti:",
    "napisał(a):", "пишет:", "писал:", "писал(а):", "написал:", "написал(а):", "пише:", "yazdı:", "írta:", "έγραψε:",
    "写道：", "写道:", "寫道：", "寫道:", "のメール:", "님이 작성:", "wrote :", "написав:", "כתב:", "كتب:", "ने लिखा:", ">:",
)  # fmt: skip
# "Am <date> schrieb <person>:"
_VERBS: Final = (" schrieb ", " skrev ", " schreef ", " napisał ", " napsal ")
_ALL_ENDS: Final = (*_WROTE_ENDS, *(end for _, ends in _WROTE for end in ends))
_HINT = re.compile(r"[12][0-9]{3}|[0-9]{1,2}[:.][0-9]{2}|[^\s@]{1,64}@[^\s@]{1,64}")
_BARS = """
    original message|forwarded message|original appointment|begin forwarded message|reply message|ursprüngliche nachricht|
    weitergeleitete nachricht|originalnachricht|message d'origine|message original|message transféré|mensaje original|
    mensaje reenviado|mensagem original|mensagem encaminhada|messaggio originale|messaggio inoltrato|oorspronkelijk bericht|
    doorgestuurd bericht|ursprungligt meddelande|oprindelig meddelelse|opprinnelig melding|alkuperäinen viesti|
    oryginalna wiadomość|wiadomość oryginalna|původní zpráva|исходное сообщение|пересылаемое сообщение|orijinal mesaj|
    eredeti üzenet|原始邮件|转发邮件|原始郵件|元のメッセージ|원본 메시지
"""
_BAR_TITLES: Final = frozenset(one.strip() for one in _BARS.split("|"))
_FIELD = re.compile(r"[*_ ]{0,3}([^\s:*][^:*]{0,24}?)[*_ ]{0,3}[:：][*_ ]{0,3}\S?")
_FROMS = "from von de da van från fra lähettäjä od kimden от від feladó από 发件人 寄件者 差出人 보낸사람"
_FROM: Final = frozenset(_FROMS.split())
_SENTS = """
    sent date gesendet datum envoyé enviado fecha data inviato verzonden skickat sendt lähetetty wysłano odesláno gönderildi
    отправлено дата надіслано küldve 发送时间 日期 送信日時 보낸날짜
    to an à para a aan till til do kime кому címzett 收件人 宛先 받는사람
    subject betreff objet asunto assunto oggetto onderwerp ämne emne aihe temat předmět konu тема tárgy 主题 主旨 件名 제목
"""
_SENT: Final = frozenset(_SENTS.split())


def fold_quotes(text: str) -> list[Block]:
    """Split a message into what is new, what it quotes, and the signature, so that a view can fold the last two.

    Quotes are lines with marks, with the line that introduces them; and all that follows the headers Outlook and its kind put
    above the mail they answer. Blank lines at the edges of a block are dropped.
    """
    return _Folder(text.split("\n")).blocks()


class _Folder:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.out: list[Block] = []
        self.kind: Literal["text", "quote", "signature"] = "text"
        self.depth = 0
        self.held: list[str] = []

    def blocks(self) -> list[Block]:
        at = 0
        # An introduction ends in one of few words, two lines further at most: no other line is worth a closer look.
        ends = (n for n, line in enumerate(self.lines) if _may_introduce(line))
        soon = {n - back for n in ends for back in (0, 1, 2)}
        while at < len(self.lines):
            line = self.lines[at]
            depth, body = _depth(line)
            if depth:
                self._add("quote", depth, body)
            elif not line.strip():
                self.held.append("")
            elif (
                ":" in line or "：" in line or line.lstrip().startswith(("--", "__"))
            ) and self._starts_old_mail(at):
                self._rest(at)
                break
            elif (at in soon) and (length := self._introduction(at)):
                for one in self.lines[at : at + length]:
                    self._add("quote", 1, one)
                at += length
                continue
            elif line.rstrip() == "--" and (line != "--" or at + 12 >= len(self.lines)):
                self._add("signature", 0, "")
            else:
                self._add("signature" if self.kind == "signature" else "text", 0, line)
            at += 1
        self._flush()
        return self.out

    def _add(self, kind: Literal["text", "quote", "signature"], depth: int, line: str) -> None:
        if (kind, depth) != (self.kind, self.depth) or (kind == "signature" and not line):
            self._flush()
            self.kind, self.depth = kind, depth
        self.held.append(line)

    def _flush(self) -> None:
        while self.held and not self.held[-1].strip():
            self.held.pop()
        first = next((n for n, line in enumerate(self.held) if line.strip()), 0)
        if self.held:
            self.out.append(Block(self.kind, self.depth, "\n".join(self.held[first:])))
        self.held = []

    def _rest(self, at: int) -> None:
        """What stands below the headers of an old mail is one quote; marks in it are one level deeper."""
        for line in self.lines[at:]:
            depth, body = _depth(line)
            self._add("quote", depth + 1, body) if line.strip() else self.held.append("")

    def _starts_old_mail(self, at: int) -> bool:
        line = self.lines[at]
        if _is_bar(line):
            return True
        if self._field(at) not in _FROM or (
            at and self.lines[at - 1].strip() and not _is_rule(self.lines[at - 1])
        ):
            return False
        return sum(self._field(at + n) in _SENT for n in range(1, 5)) >= 2

    def _field(self, at: int) -> str:
        if at >= len(self.lines):
            return ""
        match = _FIELD.match(self.lines[at][:100])
        return match[1].strip().lower() if match else ""

    def _introduction(self, at: int) -> int:
        """How many lines, from here, say who wrote the quote that follows; 0: none do."""
        joined = ""
        for length in (1, 2, 3):
            line = self.lines[at + length - 1].strip() if at + length <= len(self.lines) else ""
            if not line or line.startswith(">") or len(joined) > 300:
                return 0
            joined = f"{joined} {line}".strip()[:400]
            if _may_introduce(line) and _is_introduction(joined, length):
                return length if self._quote_follows(at + length) or _is_dated(joined) else 0
        return 0

    def _quote_follows(self, at: int) -> bool:
        return any(line.startswith(">") for line in self.lines[at : at + 3])


def _is_bar(line: str) -> bool:
    """-----Original Message-----, in the languages that Outlook and its kind speak."""
    title = line[:200].strip()
    inner = title.strip("-_ ").lower()
    return title.startswith(("--", "__")) and (inner in _BAR_TITLES or inner.startswith("forwarded by "))


def _is_rule(line: str) -> bool:
    return len(line) < 200 and not line.strip().strip("_-=*")


def _may_introduce(line: str) -> bool:
    tail = line[-120:].rstrip().lower()
    return tail.endswith(_ALL_ENDS) or (tail.endswith(":") and any(verb in tail for verb in _VERBS))


def _is_introduction(line: str, length: int) -> bool:
    lower = line.lower()
    starts = any(
        lower.startswith(begin) and (lower.endswith(end) or any(v in lower for v in _VERBS))
        for begin, end in _WROTE
    )
    return (starts or (length == 1 and lower.endswith(_WROTE_ENDS))) and bool(_HINT.search(line))


def _is_dated(line: str) -> bool:
    """So plainly an introduction that the quote below it needs no marks: a year and an address or a time."""
    return len(_HINT.findall(line)) >= 2
