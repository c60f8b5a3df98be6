"""What a question asks for, by its interrogative, in English and Chinese alike."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

QuestionType = Literal["who", "when", "where", "why", "how many", "how", "which", "what", "other"]
QUESTION_TYPES: Final[tuple[QuestionType, ...]] = get_args(QuestionType)

# In the order in which they are looked for: 什么时候 is no 什么, and `what year` asks when.
_PATTERNS: Final[tuple[tuple[QuestionType, re.Pattern[str]], ...]] = tuple(
    (name, re.compile(rf"\b(?:{english})\b|{chinese}", re.IGNORECASE))
    for name, english, chinese in (
        (
            "when",
            r"when|(?:what|which) (?:year|date|day|month|century|decade|time)",
            r"什么时[候间]|何时|哪一?[年天日月]|哪个(?:世纪|时代|朝代|年代|月)|几[点月号日年]|多[久会]|哪个时[候期]|时间是",
        ),
        ("why", r"why|what (?:reason|cause|caused)|for what", r"为什么|为何|为啥|什么原因|何故|原因是"),
        (
            "how many",
            r"how (?:many|much|long|old|far|tall|large|big|often|high|deep|fast)|what (?:percentage|percent|number)",
            r"多[少大长高远宽深重快]|几|数量",
        ),
        ("who", r"who|whom|whose", r"谁|哪位|何人|什么人|哪一?位"),
        (
            "where",
            r"where|(?:what|which) (?:country|city|place|state|continent)",
            r"哪里|哪儿|何处|何地|什么地方|哪个(?:国家|城市|地方|省|市|地区)|位于哪",
        ),
        ("how", r"how", r"怎么|怎样|如何|怎么样"),
        ("which", r"which", r"哪"),
        ("what", r"what", r"什么|何|啥|谓"),
    )
)


def find_question_type(question: str) -> QuestionType:
    """What is asked for: the interrogative that stands first in an English sentence, the most telling Chinese one."""
    found = [(match, name) for name, pattern in _PATTERNS if (match := pattern.search(question))]
    if not found:
        return "other"
    first, name = min(found, key=lambda each: each[0].start())  # of two at one place the one that is looked for first
    # `In which city did the man who ...`: what comes later belongs to a clause.
    return name if first[0].isascii() else found[0][1]
