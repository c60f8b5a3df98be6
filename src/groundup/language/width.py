"""Full-width forms: the wide copies of ASCII that Chinese input methods write, `ＡＢＣ１２３，！`."""

from __future__ import annotations

_SPACE = {0x3000: " "}
_ASCII = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_SIGNS = dict(zip(range(0xFFE0, 0xFFE7), "¢£¬¯¦¥₩", strict=True))
_ALL = _SPACE | _ASCII | _SIGNS
_WITHOUT_PUNCTUATION = _SPACE | {code: narrow for code, narrow in _ASCII.items() if narrow.isalnum()}


def fold_width(text: str, *, punctuation: bool = True) -> str:
    """Full-width letters, digits, signs and the ideographic space as their ASCII forms, one character for one.

    Args:
        text: any text; what has no full-width form stays, the ideographic full stop `。` included.
        punctuation: also fold `，！？：；（）` and the like. False keeps Chinese punctuation, which the vocabularies of
            Chinese models tell apart from the ASCII one.
    """
    return text.translate(_ALL if punctuation else _WITHOUT_PUNCTUATION)
