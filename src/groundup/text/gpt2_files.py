"""Byte pairs as GPT-2 was released with: `vocab.json` and `merges.txt`. How text is split into words stands in neither.

The rules are therefore those of GPT-2 (Radford et al. 2019), or of RoBERTa (Liu et al. 2019), which splits alike and
surrounds a text with special tokens. A folder that names another class of tokenizer, or has RoBERTa's special tokens
and does not say whose it is, is refused: its ids would be almost right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from groundup.errors import DataError
from groundup.text.readable import BYTE_OF_CHAR

VOCAB_FILE, MERGES_FILE, ADDED_FILE = "vocab.json", "merges.txt", "added_tokens.json"
_CURE = "fetch tokenizer.json too"
_VERSION = "#version"
_ANY_CLASS = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes of transformers that do what `tokenizer.json` says, so that they say nothing themselves."""

Merge = tuple[str, str]


def build_gpt2(
    folder: Path,
    vocab: Mapping[str, int],
    merges: list[Merge],
    settings: Mapping[str, Any],
    roles: Mapping[str, str],
    added: Mapping[str, int],
) -> Tokenizer:
    """GPT-2's or RoBERTa's tokenizer around a vocabulary.

    Args:
        folder: where it lies, for messages.
        vocab: what `parse_vocab` read.
        merges: what `parse_merges` read.
        settings: of `tokenizer_config.json`: `tokenizer_class`, `add_prefix_space`, `add_bos_token`, `trim_offsets`.
        roles: the special tokens by role, each in `vocab` or `added`.
        added: `added_tokens.json`: tokens with ids behind the vocabulary.
    """
    is_roberta = _choose_rules(folder, vocab, settings)
    has_prefix = bool(settings.get("add_prefix_space", False))
    tokenizer = Tokenizer(models.BPE(dict(vocab), merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=has_prefix)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    special = set(roles.values())
    for token, index in sorted(added.items(), key=lambda item: item[1]):
        tokenizer.add_tokens([AddedToken(token, special=token in special, normalized=token not in special)])
        if tokenizer.token_to_id(token) != index:
            raise DataError(
                str(folder / ADDED_FILE), f"gives {token!r} an id that is not the next one", got=index, cure=_CURE
            )
    # RoBERTa's mask stands for a word with the space in front of it.
    takes_space = {roles.get("mask")} if is_roberta else set()
    named = [AddedToken(token, lstrip=token in takes_space, special=True) for token in sorted(special)]
    tokenizer.add_special_tokens(named)
    if is_roberta:
        tokenizer.post_processor = _surround(folder, tokenizer, roles, settings, has_prefix)
        return tokenizer
    bos = roles.get("bos")
    if settings.get("add_bos_token") and bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    return tokenizer


def parse_vocab(file: Path, text: str) -> dict[str, int]:
    """Tokens with their ids. Raises DataError where it is something else, or lacks a byte."""
    vocab = parse_ids(file, text)
    missing = sum(char not in vocab for char in BYTE_OF_CHAR)
    if missing:
        raise DataError(
            str(file), f"lacks {missing} of the 256 bytes, so it is no vocabulary of byte pairs as GPT-2's", cure=_CURE
        )
    return vocab


def parse_ids(file: Path, text: str) -> dict[str, int]:
    """A JSON object of tokens and ids, each id once."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{file}:{error.lineno}", f"is not JSON ({error.msg})", cure="fetch it again") from None
    if not isinstance(values, dict) or not all(type(index) is int and index >= 0 for index in values.values()):
        raise DataError(str(file), "is no list of tokens with their ids", cure="fetch it again")
    if len(set(values.values())) < len(values):
        raise DataError(str(file), "gives one id to several tokens", cure="fetch it again")
    return values


def parse_merges(file: Path, text: str, vocab: Mapping[str, int] | None = None) -> list[Merge]:
    """The pairs to join, the first first. Raises DataError naming the line of one that a vocabulary does not have."""
    merges: list[Merge] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not line or (number == 1 and line.startswith(_VERSION)):
            continue
        left, _, right = line.partition(" ")
        if not right or " " in right:
            raise DataError(f"{file}:{number}", "is no pair of tokens", got=line, cure="fetch it again")
        if vocab is not None and not {left, right, left + right} <= vocab.keys():
            raise DataError(
                f"{file}:{number}", f"joins what {VOCAB_FILE} does not have", got=line, cure="fetch both files again"
            )
        merges.append((left, right))
    return merges


def check_agreement(folder: Path, backend: Tokenizer, vocab: Mapping[str, int], merges: list[Merge]) -> None:
    """The files must say what `tokenizer.json` beside them says: it would be a guess which the weights belong to."""
    model = json.loads(backend.to_str())["model"]
    if model["type"] != "BPE":
        return  # tokenizer.json stands for another file beside it
    cure = "remove what does not belong to the model, or name the file instead of the folder"
    known = backend.get_vocab(with_added_tokens=True)
    for token, index in vocab.items():
        if known.get(token) != index:
            raise DataError(
                str(folder),
                f"tokenizer.json and {VOCAB_FILE} disagree: {token!r} has id {index} in {VOCAB_FILE}, and "
                f"{known.get(token)} in tokenizer.json",
                cure=cure,
            )
    pairs = [(left, right) for left, right in model["merges"]]
    if pairs != merges:
        first = next((at for at, both in enumerate(zip(pairs, merges, strict=False)) if both[0] != both[1]), None)
        place = f"at pair {first + 1}" if first is not None else f"it has {len(merges)} pairs, that has {len(pairs)}"
        raise DataError(str(folder), f"tokenizer.json and {MERGES_FILE} disagree: {place}", cure=cure)


def _surround(
    folder: Path, tokenizer: Tokenizer, roles: Mapping[str, str], settings: Mapping[str, Any], has_prefix: bool
) -> processors.RobertaProcessing:
    """`<s> text </s>`, and `<s> text </s></s> text </s>` for a pair."""
    ends = [(roles[role], tokenizer.token_to_id(roles[role])) for role in ("sep", "cls") if role in roles]
    if len(ends) < 2:
        what = "lacks the special tokens <s> and </s>, which RoBERTa surrounds a text with"
        raise DataError(str(folder / VOCAB_FILE), what, cure=_CURE)
    return processors.RobertaProcessing(*ends, bool(settings.get("trim_offsets", True)), has_prefix)


def _choose_rules(folder: Path, vocab: Mapping[str, int], settings: Mapping[str, Any]) -> bool:
    """Whether the rules are RoBERTa's, and not GPT-2's."""
    named = settings.get("tokenizer_class")
    if named in _ANY_CLASS:
        named = None
    if str(named).startswith("RobertaTokenizer"):
        return True
    if named is not None and not str(named).startswith("GPT2Tokenizer"):
        raise DataError(
            str(folder), f"{VOCAB_FILE} and {MERGES_FILE} alone do not say how {named} splits text", cure=_CURE
        )
    if named is None and {"<s>", "</s>"} <= vocab.keys():
        raise DataError(
            str(folder),
            f"{VOCAB_FILE} has the special tokens of RoBERTa, and nothing says whether they surround a text",
            cure=f'{_CURE}, or write {{"tokenizer_class": "RobertaTokenizer"}} to tokenizer_config.json if they do, '
            'and "GPT2Tokenizer" if they do not',
        )
    return False
