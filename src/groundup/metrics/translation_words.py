"""How BLEU cuts texts into words: by the rules of mteval-v13a for scripts with spaces, and with Chinese apart (zh)."""

from __future__ import annotations

import re

_SIGN = re.compile(r"([ -&(-+/:-@\[-`{-~])")
"""ASCII signs but the apostrophe, the hyphen, the comma and the full stop."""
_STOP_AFTER_NO_DIGIT = re.compile(r"([^0-9])([.,])")
_STOP_BEFORE_NO_DIGIT = re.compile(r"([.,])([^0-9])")
_HYPHEN_AFTER_DIGIT = re.compile(r"([0-9])(-)")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))

# sacreBLEU's list. It means two planes beyond the first, too, but compares one character with their five digits; what
# that comes to is the stretch from U+2001 to U+2A6D, most of all the quotation marks of Chinese text.
_CHINESE = re.compile(
    "(["
    "\u3400-\u4db5\u4e00-\u9fbb\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\u2001-\u2a6d\uff00-\uffef\u2e80-\u2eff"
    "\u3000-\u303f\u31c0-\u31ef\u2f00-\u2fdf\u2ff0-\u2fff\u3100-\u312f\u31a0-\u31bf\ufe10-\ufe1f\ufe30-\ufe4f"
    "\u3200-\u33ff"
    "])"
)


def split_13a(text: str) -> list[str]:
    """Words and signs; a full stop or comma stays within a number, and a hyphen within a word."""
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, char in _ENTITIES:
        text = text.replace(entity, char)
    return _split_signs(f" {text} ")


def split_zh(text: str) -> list[str]:
    """Each Chinese character and sign alone, the rest as by 13a."""
    return _split_signs(_CHINESE.sub(r" \1 ", text.strip()))


def _split_signs(text: str) -> list[str]:
    text = _SIGN.sub(r" \1 ", text)
    text = _STOP_AFTER_NO_DIGIT.sub(r"\1 \2 ", text)
    text = _STOP_BEFORE_NO_DIGIT.sub(r" \1 \2", text)
    return _HYPHEN_AFTER_DIGIT.sub(r"\1 \2 ", text).split()
