"""Whether a metric makes sense for the language of a text: one that splits at spaces says nothing of Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterable

from groundup.errors import ConfigError
from groundup.language.scripts import CJK_CLASS

_UNSPACED = re.compile(
    rf"[{CJK_CLASS}\u3040-\u30ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]",
)
"""Chinese, kana, Thai, Lao, Burmese, Khmer."""
_LETTER = re.compile(r"[^\W\d_]")
_MOST = 0.15
"""A few foreign names do not change what a text is in."""


def is_spaced(texts: Iterable[str]) -> bool:
    """Whether the texts are in a script that puts spaces between words."""
    return _share(_UNSPACED, texts) <= _MOST


def require_spaced(texts: Iterable[str], metric: str, cure: str) -> None:
    """Refuse text of a script that puts no spaces between words. Raises ConfigError, which names the cure."""
    share = _share(_UNSPACED, texts)
    if share > _MOST:
        what = "splits words at spaces, of which the language of the references has none"
        raise ConfigError(metric, what, got=f"{share:.0%} of the letters", cure=cure)


def require_ascii_letters(texts: Iterable[str], metric: str, cure: str) -> None:
    """Refuse text most of which a metric that keeps a to z alone would drop. Raises ConfigError."""
    share = _share(re.compile(r"[^\W\d_a-zA-Z]"), texts)
    if share > _MOST:
        what = "keeps only the letters a to z and would drop most of the references"
        raise ConfigError(metric, what, got=f"{share:.0%} other letters", cure=cure)


def require_chinese(texts: Iterable[str], metric: str, cure: str) -> None:
    """Refuse text without Chinese in it. Raises ConfigError."""
    texts = list(texts)
    if _share(_LETTER, texts) and not _share(re.compile(f"[{CJK_CLASS}]"), texts):
        raise ConfigError(metric, "is for Chinese, of which the references hold none", cure=cure)


def _share(pattern: re.Pattern[str], texts: Iterable[str]) -> float:
    """How many of all letters match."""
    matching = letters = 0
    for text in texts:
        matching += len(pattern.findall(text))
        letters += len(_LETTER.findall(text))
    return matching / letters if letters else 0.0
