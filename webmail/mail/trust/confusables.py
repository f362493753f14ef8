"""One form for strings that look alike: a small table after Unicode UTS 39, for the letters that mail is forged with.

Equal skeletons mean that two strings can be taken for each other; a skeleton is never shown, and never says which one is honest.
"""

from __future__ import annotations

import unicodedata
from typing import Final

MAX: Final = 300  # characters that are looked at

_ALIKE: Final = {
    "a": "аɑαａ", "b": "ЬьƄ", "c": "сϲⅽᴄ", "d": "ԁⅾ", "e": "еҽєҿ", "f": "ƒ", "g": "ɡցԍ", "h": "һհ", "i": "іıɩιӏ", "j": "јϳ",
    "k": "кκ", "l": "ӏⅼ|ǀΙІ", "m": "мⅿ", "n": "пոη", "o": "оοσօ๐०০", "p": "рρ", "q": "ԛգ", "r": "гᴦ", "s": "ѕꜱ", "t": "тτ",
    "u": "υսц", "v": "ѵνⅴ", "w": "ԝѡωшա", "x": "хχⅹ", "y": "уүγ", "z": "ᴢ",
}  # fmt: skip
_TABLE: Final = {ord(letter): latin for latin, letters in _ALIKE.items() for letter in letters}
# Digits and letters that a hurried eye swaps, all to one of the two. "i", "l" and "1" are one, as they are in most fonts.
_HURRIED: Final = str.maketrans({"0": "o", "1": "l", "i": "l", "3": "e", "5": "s", "8": "b"})
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def skeleton(text: str) -> str:
    """Lower case, without accents, spaces and hyphens; look-alike letters as one. Bounded to 300 characters; linear."""
    text = text[:MAX]
    plain = text.translate(_ASCII) if text.isascii() else _letters(text)
    for pair, letter in _PAIRS:
        plain = plain.replace(pair, letter)
    return plain


def _letters(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.translate(_TABLE).casefold())
    return "".join(
        c for c in folded.translate(_TABLE) if c.isalnum() and unicodedata.category(c)[0] != "M"
    ).translate(_HURRIED)


_ASCII: Final = {code: _letters(chr(code)) for code in range(128)}  # most names are nothing else
