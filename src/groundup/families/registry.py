"""All families, in the order in which a design is offered to them for writing; the last one can express any."""

from __future__ import annotations

from typing import Final

from groundup.families.albert import ALBERT
from groundup.families.bart import BART
from groundup.families.bert import BERT
from groundup.families.electra import ELECTRA
from groundup.families.family import Family
from groundup.families.gpt2 import GPT2
from groundup.families.llama import LLAMA
from groundup.families.marian import MARIAN
from groundup.families.mistral import MISTRAL
from groundup.families.modernbert import MODERNBERT
from groundup.families.native import NATIVE
from groundup.families.qwen2 import QWEN2
from groundup.families.qwen3 import QWEN3
from groundup.families.roberta import ROBERTA, XLM_ROBERTA
from groundup.families.t5 import MT5, T5
from groundup.families.xlnet import XLNET

FAMILIES: Final[tuple[Family, ...]] = (
    BERT,
    ROBERTA,
    XLM_ROBERTA,
    ELECTRA,
    ALBERT,
    MODERNBERT,
    GPT2,
    LLAMA,
    MISTRAL,
    QWEN2,
    QWEN3,
    XLNET,
    T5,
    MT5,
    BART,
    MARIAN,
    NATIVE,
)
