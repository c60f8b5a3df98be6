"""Text in two languages that breaks careless tokenizers."""

from __future__ import annotations

NASTY = (
    "The river ran  past the old mill; it's 1947, or 2,048.50 (twice)!",
    "河水流过旧磨坊，孩子们在那里玩耍。二〇二四年３月５日 15:00",
    "我用iPhone 15给妈妈发了5条message，她说“OK”！ ＡＢＣ　ｆｕｌｌ　width，。",
    "emoji 🙂👩‍👩‍👧🇨🇳❤️ and e\u0301, n\u0303, ｶﾞ, か\u3099, 가, \u1100\u1161",
    "https://example.com/a_b?q=%E4%BD%A0&x=1#top user@mail.cn C:\\temp\\new",
    "first line\r\nsecond line\n\n\tindented\n    four spaces\n",
    " leading, trailing \u00a0\u3000\u200b\ufeff ",
    "𠮷野家 㐀 \uf900 \U0001f600 ½ ² Ⅷ ٣ ①",
    "<0x41> <0xE4><0xBD><0xA0> ▁under▁line Ġ [mask] <unk> </s>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈",
    "İstanbul ΣΊΣΥΦΟΣ straße ﬁne Ǆ",
    "\x00\x01 control \x85 \u2028 \x1c",
    " ",
    "\n",
    "",
)
