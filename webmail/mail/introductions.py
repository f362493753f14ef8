"""How mail programs introduce what a reply quotes: "On ... wrote:", bars, and blocks of From, Sent, To and Subject; and what
they put before its own subject.

Words in the languages that the common programs speak. All of it is linear, and looks at few lines closely.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal

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
_REPLY_BARS = """
    original message|original appointment|reply message|ursprüngliche nachricht|originalnachricht|message d'origine|
    message original|mensaje original|mensagem original|messaggio originale|oorspronkelijk bericht|ursprungligt meddelande|
    oprindelig meddelelse|opprinnelig melding|alkuperäinen viesti|oryginalna wiadomość|wiadomość oryginalna|původní zpráva|
    исходное сообщение|orijinal mesaj|eredeti üzenet|原始邮件|原始郵件|元のメッセージ|원본 메시지|mesajul original|
    оригинальное сообщение|početna poruka|αρχικό μήνυμα|הודעה מקורית|الرسالة الأصلية
"""
_FORWARD_BARS = """
    forwarded message|begin forwarded message|start of forwarded message|forwarded mail|weitergeleitete nachricht|
    anfang der weitergeleiteten nachricht|message transféré|début du message transféré|début du message réexpédié|
    mensaje reenviado|inicio del mensaje reenviado|mensagem encaminhada|início da mensagem reencaminhada|
    messaggio inoltrato|inizio messaggio inoltrato|doorgestuurd bericht|begin doorgestuurd bericht|
    vidarebefordrat meddelande|videresendt meddelelse|videresendt melding|välitetty viesti|wiadomość przekazana dalej|
    przekazana wiadomość|přeposlaná zpráva|пересылаемое сообщение|переслане повідомлення|iletilmiş mesaj|
    továbbított üzenet|mesaj redirecționat|转发邮件|转发的邮件|轉寄郵件|転送メッセージ|전달된 메시지|הודעה שהועברה
"""
_REPLY_TITLES: Final = frozenset(one.strip() for one in _REPLY_BARS.split("|"))
_FORWARD_TITLES: Final = frozenset(one.strip() for one in _FORWARD_BARS.split("|"))
_FIELD = re.compile(r"[*_ ]{0,3}([^\s:*][^:*]{0,24}?)[*_ ]{0,3}[:：][*_ ]{0,3}\S?")
_FROMS = "from von de da van från fra lähettäjä od kimden от від feladó από 发件人 寄件者 差出人 보낸사람"
_FROM: Final = frozenset(_FROMS.split())
_SENTS = """
    sent date cc bcc reply-to
    gesendet datum envoyé enviado fecha data inviato verzonden skickat sendt lähetetty wysłano odesláno gönderildi
    отправлено дата надіслано küldve 发送时间 日期 送信日時 보낸날짜
    to an à para a aan till til do kime кому címzett 收件人 宛先 받는사람
    subject betreff objet asunto assunto oggetto onderwerp ämne emne aihe temat předmět konu тема tárgy 主题 主旨 件名 제목
"""
_OTHER: Final = frozenset(_SENTS.split())
# Before a subject, as alternatives of a pattern.
REPLIES: Final = "re|aw|antw|antwort|sv|vs|rép|odp|ynt|res|bls|betr|svar|отв|ответ|απ|σχετ|רד|השב|رد|回复|回覆|答复|返信|답장"
FORWARDS: Final = "fwd?|wg|tr|enc|rv|vb|vl|pd|ilt|doorst|пересл|πρθ|הועבר|إعادة توجيه|转发|轉寄|転送|전달"
_FORWARD: Final = re.compile(rf"\s*(?:{FORWARDS})\s*[:：]", re.IGNORECASE)


Kind = Literal["", "reply", "forward"]


def is_forward(subject: str) -> bool:
    """Whether the subject is of a message that was passed on, and not of an answer to one."""
    return _FORWARD.match(subject) is not None


def bar(line: str) -> Kind:
    """-----Original Message----- and its like, in the languages that Outlook and others speak; Apple Mail forwards without
    dashes."""
    title = line[:200].strip(" \t*")
    inner = title.strip("-_ ").rstrip(":").rstrip("-_ ").lower()
    if title.startswith(("--", "__")):
        if inner in _REPLY_TITLES:
            return "reply"
        return "forward" if inner in _FORWARD_TITLES or inner.startswith("forwarded by ") else ""
    return "forward" if title.endswith(":") and inner in _FORWARD_TITLES else ""


def is_rule(line: str) -> bool:
    return len(line) < 200 and not line.strip().strip("_-=*")


def field(line: str) -> Literal["", "from", "other"]:
    """Which header this line repeats, as Outlook and its kind do above the mail they answer."""
    if ":" not in line[:40] and "：" not in line[:40]:
        return ""
    match = _FIELD.match(line[:100].replace("\u00a0", " "))
    name = match[1].strip().lower() if match else ""
    if name in _FROM:
        return "from"
    return "other" if name in _OTHER else ""


def is_header_block(lines: Sequence[str], at: int, *, begins: bool) -> bool:
    """Whether the headers of an old mail stand from here on: From with two more of its kind in the four lines below, with a
    third where it does not begin a paragraph, or (as Hotmail has it) Date or Subject first and From soon."""
    first = field(lines[at])
    if not first:
        return False
    below = [field(line) for line in lines[at + 1 : at + 5]]
    known = sum(map(bool, below))
    if first == "from":
        return known >= (2 if begins else 3)
    return begins and known >= 3 and "from" in below[:3]


def candidates(lines: Sequence[str]) -> set[int]:
    """The lines at which `introduction` is worth asking. One ends in one of few words, two lines further at most."""
    ends = (number for number, line in enumerate(lines) if _may_introduce(line))
    return {number - back for number in ends for back in (0, 1, 2)}


def _may_introduce(line: str) -> bool:
    """A quick look that most lines do not pass: whether a line could end an introduction."""
    tail = line[-120:].rstrip().lower()
    return tail.endswith(_ALL_ENDS) or (tail.endswith(":") and any(verb in tail for verb in _VERBS))


def introduction(lines: Sequence[str], at: int) -> tuple[int, bool]:
    """How many lines, one to three from here, say who wrote the quote that follows (0: none do), and whether they say so
    plainly that the quote needs no marks: a year and an address or a time."""
    joined = ""
    for length in (1, 2, 3):
        line = lines[at + length - 1].strip() if at + length <= len(lines) else ""
        if not line or line.startswith(">") or len(joined) > 300:
            return 0, False
        if length > 1 and _may_introduce(line) and _is_introduction(line, 2):
            return 0, False  # the line introduces by itself
        joined = f"{joined} {line}".strip()[:400]
        if _may_introduce(line) and _is_introduction(joined, length):
            return length, len(_HINT.findall(joined)) >= 2
    return 0, False


def _is_introduction(line: str, length: int) -> bool:
    lower = line.lower()
    starts = any(
        lower.startswith(begin) and (lower.endswith(end) or any(v in lower for v in _VERBS))
        for begin, end in _WROTE
    )
    return (starts or (length == 1 and lower.endswith(_WROTE_ENDS))) and bool(_HINT.search(line))
