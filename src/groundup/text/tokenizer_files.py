"""Tokenizers as they lie on disk: `tokenizer.json`, the older files of BERT and GPT-2, and the settings beside them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from groundup.errors import DataError
from groundup.text import gpt2_files
from groundup.text.gpt2_files import ADDED_FILE, MERGES_FILE, VOCAB_FILE
from groundup.text.tokenizer_training import SPECIAL_TOKENS, build_wordpiece

ROLES = ("pad", "unk", "cls", "sep", "mask", "bos", "eos")
_KNOWN_NAMES = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<cls>", "<s>"),
    "sep": ("[SEP]", "<sep>", "</s>"),
    "mask": ("[MASK]", "<mask>"),
    # XLNet has <s> and </s> beside <cls> and <sep>; RoBERTa has them as both pairs, GPT-2 one token for both ends.
    "bos": ("<s>", "<|begin_of_text|>", "<|endoftext|>"),
    "eos": ("</s>", "<|end_of_text|>", "<|endoftext|>"),
}
_FRAME = "whole_post_processor"
"""The setting of a decoder's folder that keeps what `leave_end_open` took from tokenizer.json."""
_CURE = "give a folder with tokenizer.json, vocab.txt, or vocab.json and merges.txt, or such a file"


@dataclass(frozen=True)
class TokenizerFiles:
    """What was read: the tokenizer, the special tokens named there by role, and the settings to write back."""

    backend: Tokenizer
    roles: Mapping[str, str | None]
    settings: Mapping[str, object]


def read_tokenizer(path: Path) -> TokenizerFiles:
    """Read a folder or a file. Raises DataError where it is missing, damaged or ambiguous."""
    file = _find(path)
    settings = dict(_read_settings(file.parent / "tokenizer_config.json"))
    frame = settings.pop(_FRAME, None)
    roles = _read_roles(file.parent / "special_tokens_map.json", settings)
    if file.name == VOCAB_FILE:
        return _read_gpt2(file.parent, settings, roles)
    if file.suffix == ".json":
        backend = _read_json(file, frame)
        if path.is_dir() and (path / "vocab.txt").is_file():
            _check_agreement(path, backend)
        if path.is_dir() and (path / VOCAB_FILE).is_file() and (path / MERGES_FILE).is_file():
            vocab = gpt2_files.parse_ids(path / VOCAB_FILE, _read_text(path / VOCAB_FILE))
            merges = gpt2_files.parse_merges(path / MERGES_FILE, _read_text(path / MERGES_FILE))
            gpt2_files.check_agreement(path, backend, vocab, merges)
        return TokenizerFiles(backend, roles, settings or default_settings(complete_roles(backend, roles)))
    backend = _build_from_vocab(file, settings, roles)
    return TokenizerFiles(backend, roles, default_settings(complete_roles(backend, roles)) | _flags(settings))


def leave_end_open(
    text: str, settings: Mapping[str, object], roles: Mapping[str, str]
) -> tuple[str, Mapping[str, object]]:
    """A tokenizer.json and its settings under which whoever reads them adds no end to a text: it is to be gone on with.

    Transformers takes the frame of a text from tokenizer.json alone. Ours is kept in the settings, and read from there.
    """
    values = json.loads(text)
    frame = values.get("post_processor")
    if not isinstance(frame, dict) or frame.get("type") != "TemplateProcessing":
        return text, settings
    places = [number for number, part in enumerate(frame["single"]) if "Sequence" in part]
    if not places or places[-1] == len(frame["single"]) - 1:
        return text, settings
    values["post_processor"] = {**frame, "single": frame["single"][: places[-1] + 1]}
    ends = {"bos_token": roles.get("bos", roles.get("cls")), "eos_token": roles.get("eos", roles.get("sep"))}
    named = {name: token for name, token in ends.items() if token is not None}
    return json.dumps(values, ensure_ascii=False, indent=2), {**settings, **named, _FRAME: frame}


def complete_roles(backend: Tokenizer, roles: Mapping[str, str | None]) -> dict[str, str]:
    """The named special tokens, and the customary names that are in the vocabulary for those not named.

    A role whose name is None has no token, whatever the vocabulary holds.
    """
    return _find_roles(backend.get_vocab(with_added_tokens=True), roles)


def default_settings(roles: Mapping[str, str]) -> dict[str, object]:
    """A `tokenizer_config.json` with which Hugging Face's loader takes `tokenizer.json` exactly as it stands."""
    names = {f"{role}_token": token for role, token in roles.items()}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    plain = {"clean_up_tokenization_spaces": False, "model_input_names": inputs}
    return {"tokenizer_class": "PreTrainedTokenizerFast"} | plain | names


def _find_roles(vocab: Collection[str], roles: Mapping[str, str | None]) -> dict[str, str]:
    found: dict[str, str] = {}
    for role in ROLES:
        named = (roles[role],) if role in roles else _KNOWN_NAMES[role]
        token = next((name for name in named if name is not None and name in vocab), None)
        if token is not None:
            found[role] = token
    return found


def _find(path: Path) -> Path:
    if path.is_file():
        if path.suffix not in (".json", ".txt"):
            raise DataError(str(path), "is no tokenizer file", cure=_CURE)
        return path.with_name(VOCAB_FILE) if path.name == MERGES_FILE else path
    if not path.is_dir():
        raise DataError(str(path), "tokenizer does not exist", cure=_CURE)
    for name in ("tokenizer.json", "vocab.txt", VOCAB_FILE):
        if (path / name).is_file():
            return path / name
    raise DataError(str(path), "holds neither tokenizer.json nor vocab.txt nor vocab.json", cure=_CURE)


def _read_json(file: Path, frame: object = None) -> Tokenizer:
    """With another frame of texts than the file's own, where one is given."""
    text = _read_text(file)
    try:
        if frame is not None:
            text = json.dumps({**json.loads(text), "post_processor": frame})
        backend = Tokenizer.from_str(text)
    except Exception as error:  # the library raises plain Exception for whatever is wrong with the file
        raise DataError(
            str(file), f"is damaged or no tokenizer of the tokenizers library ({error})", cure="fetch it again"
        ) from None
    backend.no_padding()
    backend.no_truncation()
    return backend


def _check_agreement(folder: Path, backend: Tokenizer) -> None:
    """Two vocabularies in one folder must be the same one: it would be a guess which of them the weights belong to."""
    vocab = backend.get_vocab(with_added_tokens=True)
    for index, token in enumerate(_read_vocab(folder / "vocab.txt")):
        if vocab.get(token) != index:
            raise DataError(
                str(folder),
                f"tokenizer.json and vocab.txt disagree: line {index + 1} of vocab.txt is {token!r}, whose id in "
                f"tokenizer.json is {vocab.get(token)}",
                cure="remove the one that does not belong to the model, or name the file instead of the folder",
            )


def _build_from_vocab(file: Path, settings: Mapping[str, object], roles: Mapping[str, str | None]) -> Tokenizer:
    vocab = {token: index for index, token in enumerate(_read_vocab(file))}
    names = tuple(roles.get(role) or name for role, name in zip(ROLES[:5], SPECIAL_TOKENS, strict=True))
    unknown = names[ROLES.index("unk")]
    if unknown not in vocab:
        raise DataError(str(file), f"has no {unknown} entry", cure="BERT's vocab.txt holds one token a line")
    strip_accents = settings.get("strip_accents")
    return build_wordpiece(
        vocab,
        lowercase=bool(settings.get("do_lower_case", True)),
        strip_accents=None if strip_accents is None else bool(strip_accents),
        split_chinese=bool(settings.get("tokenize_chinese_chars", True)),
        special_tokens=names,
    )


def _read_gpt2(folder: Path, settings: Mapping[str, object], roles: Mapping[str, str | None]) -> TokenizerFiles:
    for name in (VOCAB_FILE, MERGES_FILE):
        if not (folder / name).is_file():
            raise DataError(str(folder), f"has no {name}", cure=f"{VOCAB_FILE} and {MERGES_FILE} belong together")
    vocab = gpt2_files.parse_vocab(folder / VOCAB_FILE, _read_text(folder / VOCAB_FILE))
    merges = gpt2_files.parse_merges(folder / MERGES_FILE, _read_text(folder / MERGES_FILE), vocab)
    file = folder / ADDED_FILE
    added = gpt2_files.parse_ids(file, _read_text(file)) if file.is_file() else {}
    found = _find_roles(vocab.keys() | added.keys(), roles)
    if "tokenizer_class" not in settings and _read_settings(folder / "config.json").get("model_type") == "roberta":
        settings = {**settings, "tokenizer_class": "RobertaTokenizer"}
    backend = gpt2_files.build_gpt2(folder, vocab, merges, settings, found, added)
    # To GPT-2 in transformers a token type is one more token: its tokenizer must offer none. RoBERTa has a single one.
    inputs = {"model_input_names": ["input_ids", "attention_mask"]}
    absent = {f"{role}_token": None for role, token in roles.items() if token is None}
    return TokenizerFiles(backend, roles, default_settings(found) | absent | inputs | _flags(settings))


def _read_vocab(file: Path) -> list[str]:
    lines = _read_text(file).replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines and lines[-1] == "" else lines


def _flags(settings: Mapping[str, object]) -> dict[str, object]:
    kept = ("do_lower_case", "tokenize_chinese_chars", "strip_accents", "model_max_length")
    return {name: settings[name] for name in kept if name in settings}


def _read_settings(file: Path) -> dict[str, object]:
    if not file.is_file():
        return {}
    try:
        settings = json.loads(_read_text(file))
    except json.JSONDecodeError as error:
        raise DataError(f"{file}:{error.lineno}", f"is not JSON ({error.msg})", cure="fetch it again") from None
    if not isinstance(settings, dict):
        raise DataError(str(file), "holds no settings", got=settings, cure="fetch it again")
    return settings


def _read_roles(file: Path, settings: Mapping[str, object]) -> dict[str, str | None]:
    """Special tokens by role, from both files in which Hugging Face has kept them."""
    sources = _read_settings(file) | settings
    roles: dict[str, str | None] = {}
    for role in ROLES:
        value = sources.get(f"{role}_token")
        content = value.get("content") if isinstance(value, dict) else value
        if isinstance(content, str):
            roles[role] = content
        elif role in ("bos", "eos") and f"{role}_token" in sources:
            roles[role] = None  # null is an answer here: Qwen starts a document with nothing
    return roles


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(str(file), f"is not utf-8 at byte {error.start}", cure="fetch it again") from None
    except OSError as error:
        raise DataError(str(file), f"cannot be read ({error.strerror})", cure="check its permissions") from None
