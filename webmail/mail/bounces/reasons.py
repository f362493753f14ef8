"""Why a copy was not delivered, in few words: from the reply's text first, which says more than the codes that servers give."""

import re
from typing import Final

from webmail.mail.bounces.model import Reason
from webmail.mail.charsets import clean_name

MAX_REPLY: Final = 500
_LOOKED_AT: Final = 2000

_ENHANCED = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]\d|\d)")
_CODE = re.compile(r"(?:^|[\s(\[<>:;\"'=#_])([45][0-5]\d)(?=[\s\-:;,)\]\"'#]|$)")

# The first that fits wins, so the narrow ones stand before the wide ones.
_WORDS: Final[tuple[tuple[Reason, str], ...]] = (
    ("policy", r"""
        domain\ of\ sender|sender\ (?:address|domain)|mail\ from\ domain|unroutable\ sender|(?:verify|unverified)\ sender
        |sender\ verify|\bspf\b|dmarc|dkim|send(?:ing)?\ (?:mail\ )?to\ yourself
    """),
    ("network", r"""
        not\ found,\ try\ again|name\ server\ reply|refused\ to\ talk\ to\ me|did\ not\ accept\ our\ requests|connection\ refused
        |host\ not\ reachable|lost\ connection
    """),
    ("host-unknown", r"""
        invalid\ domain|domain\ is\ not\ reachable|no\ smtp\ service|domain\ [^.\n]{0,80}(?:n.t|not)\ receive\
        |host(?:name)?\ (?:is\ )?(?:unknown|(?:lookup\ )?(?:was\ )?not\ found)|unknown\ (?:host|domain)
        |unrout?e?able\ (?:mail\ )?domain|no\ such\ (?:host|domain)|domain\ (?:name\ )?(?:is\ )?(?:not\ (?:found|exist)
        |unknown|does\ not\ exist|doesn.t\ exist)|host\ or\ domain\ name\ not\ found|name\ service\ error|nx\s?domain
        |null\s?mx|does\ not\ accept\ (?:any\ )?(?:e-?mail|messages)|no\ (?:valid\ )?(?:mx|mail\ exchange[r]?)\b
        |bad\ destination\ (?:host|system)|domain\ does\ not\ receive|couldn.t\ find\ any\ host
        |address\ domain\ not\ found|no\ dns\ record|illegal\ host/domain
    """),
    ("mailbox-full", r"""
        (?:mail\s?box|inbox|account|mail\s?folder|maildir|user|recipient)[^.\n]{0,40}\ full|over\ ?-?quota
        |quota[^.\n]{0,30}exceed|exceed[^.\n]{0,60}(?:quota|mailbox\ size|storage|space)|mail\s?box\ exceeds
        |insufficient\ (?:system\ |disk\ )?(?:storage|space|quota)|out\ of\ (?:disk\ )?(?:space|storage)|disk\ ?(?:quota
        |full)|not\ enough\ (?:disk\ |storage\ )?(?:space|storage)|no\ space\ left|(?:storage|quota|mailbox
        |size)\ (?:size\ )?(?:limit|quota|usage)\ (?:is\ |has\ |was\ )?(?:been\ )?(?:exceeded|reached|full)
        |quota\ (?:violation|full|error)|too\ many\ messages\ (?:in|on)|full\ mailbox|mailbox\ size\ limit
        |over\ the\ maximum|over\ (?:its|the|their)\ (?:disk\ |mail\ ?box\ |storage\ )?(?:quota|limit)
    """),
    ("too-large", r"""
        (?:message|mail|size|attachment)\ ?(?:is\ |was\ |size\ )*(?:too\ (?:large|big)|exceeds?|exceeded|limit\ exceeded)
        |exceed[^.\n]{0,40}(?:message\ size|size\ limit|maximum\ size|fixed\ limit)|message\ size|maximum\ message
        |too\ large|too\ big|larger\ than|size\ limit
    """),
    ("relay-denied", r"""
        relay(?:ing)?\ (?:access\ |is\ |was\ |has\ been\ )*(?:denied|not\ (?:permitted|allowed)|prohibited|refused
        |rejected)|unable\ to\ relay|(?:not|n.t)\ (?:permitted|allowed|configured|able)\ to\ relay|(?:do\ not|don.t|won.t
        |not)\ relay|no\ relay|relay\ not|relaying\ mail|insecure\ mail\ relay|rcpthosts|via\ this\ server|not\ a\ gateway
    """),
    ("suspended", r"""
        suspend|(?:mail\s?box|account|user|address|recipient|email)[^.\n]{0,40}(?:disabled|inactive|deactivated|locked
        |frozen|terminated|closed|not\ active|expired)|(?:disabled|inactive|deactivated)\ (?:mail\s?box|account|user
        |address|recipient)
    """),
    ("no-such-user", r"""
        (?:user|recipient|mail\s?box|address|account|destination|addressee|local-?part|name)(?:\ \S{1,80})?\ (?:is\ |was\
        |address\ |email\ |name\ )*(?:unknown|not\ (?:found|known|exist|here|valid|listed)|invalid|no\ longer
        |doesn.t\ exist|does\ not\ exist|does\ not\ have|isn.t)|unknown\ (?:or\ illegal\ )?(?:e-?mail\ |to\ |local\
        |virtual\ |destination\ |recipient\ )?(?:user|recipient|address|account|mail\s?box|alias|name|part|login)
        |no\ such\ (?:e-?mail\ |local\ |virtual\ |smtp\ )?(?:user|mail\s?box|recipient|address|person|account|alias|part
        |name|this\ user)|no\ (?:mail\s?box|account|user)(?:\ \S{1,40})?\ (?:here|by\ that|with|found|exists)
        |invalid\ (?:final\ delivery\ )?(?:recipient|mail\s?box|address|user|local|to)|unrout?e?able\ address
        |not\ (?:a\ )?(?:valid|known|our)\ (?:mail\s?box|user|recipient|customer|address|account)|not\ listed\ in
        |has\ moved|moved\ to|(?:left|no\ longer)[^.\n]{0,40}(?:organi[sz]ation|company|valid|available|here|in\ use
        |exists|accept)|no\ valid\ recipients|bad\ destination\ (?:mailbox|address)|does\ not\ exist|doesn.t\ exist
        |doesn.t\ have\ an?\ [^\n]{0,60}account|name\ is\ not\ recogni[sz]ed|recipient\ address\ rejected(?:\.?$
        |:\ access\ denied)|not\ (?:have\ an?|found\ in)[^.\n]{0,30}(?:account|directory)|resolver\.adr|recipnotfound
        |recipient\ not\ found|mailbox\ not\ found|can.t\ create\ user\ output\ file|that\ address|user\ not\ found
        |wasn.t\ found|unable\ to\ find|couldn.t\ be\ found|could\ not\ be\ found|invalid\ address
        |who\ are\ you\ looking\ for|wrong\ (?:address|recipient)
    """),
    ("content", r"""
        virus|malware|infected|trojan|(?:attachment|file)s?[^.\n]{0,40}(?:not\ (?:allowed|accepted)|type|prohibited|banned
        |blocked|rejected)|content[^.\n]{0,30}(?:reject|denied|not\ accept|block|filter|restrict|violat)|executable
        |malformed|rfc\ ?(?:-\ ?)?(?:2822|5322|822|2047|5321)\b|duplicate\ header|missing\ (?:header|from|date)|(?:invalid
        |bad|illegal)\ (?:message|header|mime|characters?)|bare\ (?:lf|newline|line)|prohibited\ attachment|8-?bit
        |line\ too\ long
    """),
    ("spam", r"""
        spam(?!haus|cop)|junk|unsolicited|bulk\ (?:e?mail|message)|\bub[e]\b|\buce\b|phish|suspicious
    """),
    ("blocked", r"""
        black\ ?-?list|block\ ?-?list|deny\ ?list|\brbl\b|dns\ ?-?bl|spamhaus|spamcop|barracudacentral|reverse\ (?:dns
        |lookup|ip|map)|\bptr\b|\brdns\b|reputation|(?:ip|host|client|sender|address|domain|mail|connection|you|server
        |message|access)[^.\n]{0,60}(?:has\ been|have\ been|is|was|are|temporarily)\ (?:currently\ |temporarily\
        |being\ )*(?:blocked|banned|denied|listed|refused|restricted)|client\ host|bad\ (?:helo|ehlo)|blocked|banned
        |too\ many\ (?:connections|concurrent|sessions|messages|recipients|emails|mails|errors)|rate\ ?limit|throttl
        |unusual\ rate|connection\ (?:rate|limit)|gr[ea]y\ ?list|dynamic\ ip|helo|cannot\ find\ your|fix\ reverse
        |not\ match[^.\n]{0,20}(?:dns|host)
    """),
    ("policy", r"""
        dmarc|\bspf\b|dkim|sender\ policy|policy|not\ authori[sz]ed|unauthori[sz]ed|authenticat|permission|not\ permitted
        |access\ (?:is\ )?denied|administrative|prohibit|not\ allowed|not\ a\ member|only\ members|forbidden
        |sender\ (?:\S{1,80}\ )?(?:address\ )?(?:was\ |is\ )*(?:rejected|denied|refused|invalid|unknown|not\ accepted
        |verify\ failed|verification\ fail)|(?:start)?tls|cipher|encrypt|certificate|security|restricted|violat
        |by\ (?:the\ )?(?:recipient|receiver|administrator)|rejected\ by|refus|verify\ sender
    """),
    ("expired", r"""
        (?:delivery|retry|queue|message)\ ?(?:time)?\ ?(?:has\ |have\ )?(?:expired|timed\ out|timeout)|(?:retry
        |transfer)\ (?:time|count|limit|timeout)[^.\n]{0,30}exceed|max(?:imum)?[^.\n]{0,20}(?:retry|retries|attempts
        |time)[^.\n]{0,20}(?:exceed|reach)?|too\ (?:old|long\ in)|in\ the\ queue\ too\ long|timed?\ ?-?out|time\ limit
        |unable\ to\ deliver[^.\n]{0,60}(?:days|hours)|failing\ for\ a\ long\ time|(?:for|in|within)\ (?:the\ last\
        |at\ least\ |more\ than\ )?\d{1,3}(?:\.\d)?\ (?:hours|days|minutes)|given\ up|giving\ up|delayed
        |not\ yet\ been\ delivered|has\ not\ been\ (?:collected|delivered)|deferred|envelope\ expired
    """),
    ("network", r"""
        connection\ (?:was\ |has\ been\ )?(?:refused|reset|closed|dropped|lost|aborted|failed)|unreachable|no\ route|loop
        |too\ many\ hops|hop\ count|\bdns\b|lookup\ fail|could\ not\ connect|couldn.t\ connect|not\ respond
        |lost\ connection|host\ is\ down|routing|temporar|cannot\ connect|can.t\ connect|i/o\ error|server\ (?:error
        |failure|busy|down)|no\ answer|delivered-to|mail\ for\ \S{1,80}\ loops
    """),
)  # fmt: skip
_PATTERNS: Final = tuple((reason, re.compile(words, re.VERBOSE)) for reason, words in _WORDS)

_BY_STATUS: Final[dict[str, Reason]] = {
    "1.1": "no-such-user", "1.0": "no-such-user", "1.2": "host-unknown", "1.3": "no-such-user", "1.4": "no-such-user",
    "1.6": "no-such-user", "1.7": "policy", "1.8": "policy", "1.9": "policy", "1.10": "host-unknown",
    "2.1": "suspended",
    "2.2": "mailbox-full", "2.3": "too-large", "2.4": "no-such-user", "3.1": "mailbox-full", "3.2": "network", "3.4": "too-large",
    "4.1": "network", "4.2": "network", "4.3": "network", "4.4": "host-unknown", "4.5": "network", "4.6": "network",
    "4.7": "expired",
    "5.3": "blocked", "6.0": "content", "7.9": "blocked", "7.25": "blocked",
}  # fmt: skip
_BY_SUBJECT: Final[dict[str, Reason]] = {"6": "content", "7": "policy", "4": "network", "3": "network"}
_HARD: Final = frozenset(("no-such-user", "host-unknown"))
_DEFAULT_STATUS: Final[dict[Reason, str]] = {
    "mailbox-full": "5.2.2", "no-such-user": "5.1.1", "host-unknown": "5.1.2", "too-large": "5.3.4", "expired": "4.4.7",
    "relay-denied": "5.7.1", "policy": "5.7.1", "spam": "5.7.1", "blocked": "5.7.1", "suspended": "5.2.1", "content": "5.6.0",
    "network": "4.4.1", "unknown": "5.0.0",
}  # fmt: skip


def reason_of(status: str, text: str) -> Reason:
    """The reason that a reply's text gives, or else its enhanced status code. "unknown" where neither says anything."""
    low = " ".join(text[:_LOOKED_AT].lower().replace("\u2019", "'").split())
    for reason, pattern in _PATTERNS:
        if pattern.search(low):
            return reason
    detail = status.partition(".")[2]
    return _BY_STATUS.get(detail) or _BY_SUBJECT.get(detail.partition(".")[0]) or "unknown"


def is_hard(status: str, reason: str) -> bool:
    """Whether what failed will fail each time: the address or its domain leads nowhere, and the server did not say "now"."""
    return reason in _HARD and not status.startswith(("4", "2"))


def enhanced(text: str) -> str:
    """The first enhanced status code (RFC 3463) in a reply that says what is wrong, or any, or ""."""
    found = ["{}.{}.{}".format(*match.groups()) for match in _ENHANCED.finditer(text[:_LOOKED_AT])]
    plain = [code for code in found if not code.startswith("2")]
    return next((code for code in plain if not code.endswith(".0")), plain[0] if plain else "")


def depth(status: str) -> int:
    """How much a status code says: nothing, that it failed, on what subject, or what exactly."""
    return 0 if not status else 1 if status.endswith(".0.0") else 2 if status.endswith(".0") else 3


def reply_code(text: str) -> int | None:
    """The first SMTP reply code of a failure in a text, or None."""
    found = _CODE.search(text[:_LOOKED_AT])
    return int(found[1]) if found else None


def likely_status(reason: Reason, code: int | None) -> str:
    """The status code that is usual for a reason, in the class that the reply code says."""
    usual = _DEFAULT_STATUS[reason]
    return f"{code // 100}{usual[1:]}" if code else usual


def clean_reply(text: str) -> str:
    """What a server said, as one line without control or direction marks, at most 500 characters."""
    return " ".join(clean_name(text[: 4 * MAX_REPLY]).split())[:MAX_REPLY]
