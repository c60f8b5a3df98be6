"""Text to ids and back: a thin layer over the `tokenizers` library that is safe to share and plain to read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, SupportsInt, final

import numpy as np
from jaxtyping import Int32
from tokenizers import Encoding
from tokenizers import Tokenizer as Backend

from groundup.config import expand_path
from groundup.errors import ConfigError, DataError
from groundup.text.fast_encode import FastEncoder, FlatIds
from groundup.text.readable import BYTE_OF_CHAR, join_chinese, show_bytes
from groundup.text.tokenizer_config import ByteBPE, Characters, PretrainedTokenizer, TokenizerConfig, WordPiece
from groundup.text.tokenizer_files import complete_roles, default_settings, read_tokenizer
from groundup.text.tokenizer_training import train_backend

__all__ = [
    "ByteBPE",
    "Characters",
    "Encoded",
    "PretrainedTokenizer",
    "Tokenizer",
    "TokenizerConfig",
    "WordPiece",
    "train_tokenizer",
]

SpecialName = Literal["pad_id", "unknown_id", "cls_id", "sep_id", "mask_id", "bos_id", "eos_id"]
_ROLE_OF: dict[str, str] = {
    "pad_id": "pad",
    "unknown_id": "unk",
    "cls_id": "cls",
    "sep_id": "sep",
    "mask_id": "mask",
    "bos_id": "bos",
    "eos_id": "eos",
}


class Encoded(NamedTuple):
    """One text or pair as a model takes it, special tokens included."""

    input_ids: Int32[np.ndarray, " length"]
    token_type_ids: Int32[np.ndarray, " length"]
    """0 for the first text and its special tokens, 1 for the second, as the tokenizer's template has it."""
    num_truncated: int
    """Tokens of the text that did not fit."""


class _Template(NamedTuple):
    """The special tokens before, between and after the texts, with their token types."""

    parts: tuple[Int32[np.ndarray, " _ids"], ...]
    types: tuple[Int32[np.ndarray, " _ids"], ...]
    text_types: tuple[int, ...]

    @property
    def size(self) -> int:
        return sum(len(part) for part in self.parts)


@final
class Tokenizer:
    """A vocabulary with its rules. What it answers never changes after it is made, and threads may share it."""

    def __init__(
        self, backend: Backend, roles: dict[str, str | None] | None = None, settings: dict[str, object] | None = None
    ) -> None:
        """Wrap a tokenizer of the library.

        Args:
            backend: the library's tokenizer; it must pad and truncate nothing.
            roles: the names of the special tokens by role (pad, unk, cls, sep, mask, bos, eos); found by custom where
                left out, none where None.
            settings: what `tokenizer_config.json` is to hold; written fresh where left out.
        """
        self._backend = backend
        self._roles = complete_roles(backend, roles or {})
        self._settings = settings or default_settings(self._roles)
        self._vocab = backend.get_vocab(with_added_tokens=True)
        if not self._vocab:
            raise DataError("tokenizer", "has an empty vocabulary", cure="train it, or fetch it again")

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read a folder with `tokenizer.json` or `vocab.txt`, or such a file. Raises DataError where it cannot."""
        files = read_tokenizer(Path(path))
        return cls(files.backend, dict(files.roles), dict(files.settings))

    def save(self, folder: str | Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`; Hugging Face's AutoTokenizer gives the same ids."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, content in self.files().items():
            (Path(folder) / name).write_bytes(content)

    def files(self) -> dict[str, bytes]:
        """What `save` writes, by file name."""
        settings = json.dumps(self._settings, ensure_ascii=False, indent=2, sort_keys=True)
        return {
            "tokenizer.json": self._backend.to_str(pretty=True).encode(),
            "tokenizer_config.json": f"{settings}\n".encode(),
        }

    @cached_property
    def digest(self) -> str:
        """The sha256 of everything that decides the ids."""
        values = json.loads(self._backend.to_str())
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @cached_property
    def vocab_size(self) -> int:
        """Rows that an embedding needs: the largest id plus one."""
        return max(self._vocab.values()) + 1

    @property
    def pad_id(self) -> int | None:
        """The id of padding."""
        return self._special("pad_id")

    @property
    def unknown_id(self) -> int | None:
        """The id of what the vocabulary cannot write; None where nothing is unknown."""
        return self._special("unknown_id")

    @property
    def cls_id(self) -> int | None:
        """The id of the token that stands for a whole sequence."""
        return self._special("cls_id")

    @property
    def sep_id(self) -> int | None:
        """The id of the token that ends a text."""
        return self._special("sep_id")

    @property
    def mask_id(self) -> int | None:
        """The id of the token that hides another."""
        return self._special("mask_id")

    @property
    def bos_id(self) -> int | None:
        """The id of the token made to begin a document; `start_id` is what to use."""
        return self._special("bos_id")

    @property
    def eos_id(self) -> int | None:
        """The id of the token made to end a document; `end_id` is what to use."""
        return self._special("eos_id")

    @property
    def start_id(self) -> int | None:
        """What a document starts with for a causal model, so that its first token is predicted too.

        The bos token, else cls, as in the tokenizers trained here, else None. GPT-2 has one token for both ends.
        """
        return self.cls_id if self.bos_id is None else self.bos_id

    @property
    def end_id(self) -> int | None:
        """What a document ends with for a causal model, which stops there when it writes: eos, else sep, else None."""
        return self.sep_id if self.eos_id is None else self.eos_id

    def require(self, name: SpecialName) -> int:
        """A special id that the caller cannot do without. Raises ConfigError where the tokenizer has none."""
        found = self._special(name)
        if found is None:
            raise ConfigError(
                "tokenizer",
                f"has no {_ROLE_OF[name]} token, which this objective needs",
                cure="use a tokenizer with one"
                + ("" if name in ("bos_id", "eos_id") else " (those trained here have it)"),
            )
        return found

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """The ids that stand for no text."""
        added = self._backend.get_added_tokens_decoder()
        return frozenset(index for index, token in added.items() if token.special) | frozenset(
            self._vocab[token] for token in self._roles.values()
        )

    @cached_property
    def prefix_ids(self) -> tuple[int, ...]:
        """Special ids before a single text."""
        return tuple(self._single.parts[0].tolist())

    @cached_property
    def suffix_ids(self) -> tuple[int, ...]:
        """Special ids after a single text."""
        return tuple(self._single.parts[1].tolist())

    def encode(self, text: str, pair: str | None = None, max_length: int | None = None) -> Encoded:
        """One text, or a pair of texts, with special tokens. `max_length` counts them too."""
        return self.encode_batch([text if pair is None else (text, pair)], max_length)[0]

    def encode_batch(self, texts: Sequence[str | tuple[str, str]], max_length: int | None = None) -> list[Encoded]:
        """Many texts or pairs at once, each with special tokens; a pair is truncated at its longer text first."""
        if not texts:
            return []
        parts = [(text,) if isinstance(text, str) else tuple(text) for text in texts]
        ids = iter(self.encode_plain([part for texts_of_one in parts for part in texts_of_one]))
        return [self._assemble([next(ids) for _ in texts_of_one], max_length) for texts_of_one in parts]

    def encode_plain(self, texts: Sequence[str]) -> list[Int32[np.ndarray, " _length"]]:
        """The ids of each text alone, without special tokens."""
        ids, sizes = self.encode_flat(texts)
        return np.split(ids, np.cumsum(sizes)[:-1]) if texts else []

    def encode_flat(self, texts: Sequence[str]) -> FlatIds:
        """The ids of all texts end to end, without special tokens, and how many each has: the fastest way."""
        return self._encoder.encode(texts)

    def encode_raw(self, texts: Sequence[str]) -> list[Encoding]:
        """The library's own encodings, without special tokens and offsets."""
        return self._backend.encode_batch_fast(list(texts), add_special_tokens=False)

    def encode_with_offsets(self, text: str) -> Encoding:
        """The library's own encoding without special tokens, with character offsets and word numbers."""
        return self._backend.encode(text, add_special_tokens=False)

    def decode(self, ids: Iterable[SupportsInt], *, skip_special: bool = False) -> str:
        """Text that people can read; where the tokenizer keeps no spaces, Chinese is written without them."""
        text = self._backend.decode([int(index) for index in ids], skip_special_tokens=skip_special)
        return text if self._keeps_spaces else join_chinese(text)

    def to_bytes(self, ids: Iterable[SupportsInt]) -> bytes:
        """The decoded text in UTF-8, special tokens left out; exact also where the ids end inside a character."""
        kept = [int(index) for index in ids if int(index) not in self.special_ids]
        if not self._is_byte_level:
            return self.decode(kept).encode()
        tokens = (self._backend.id_to_token(index) or "" for index in kept)
        return b"".join(
            bytes(map(BYTE_OF_CHAR.__getitem__, token)) if BYTE_OF_CHAR.keys() >= set(token) else token.encode()
            for token in tokens
        )

    def tokens(self, ids: Iterable[SupportsInt]) -> list[str]:
        """Each token in real characters; bytes that are no whole character are shown as `<0xE4>`."""
        return [self._show(int(index)) for index in ids]

    def _show(self, index: int) -> str:
        token = self._backend.id_to_token(index)
        if token is None:
            return f"<{index}?>"
        if not self._is_byte_level or index in self.special_ids:
            return token
        if not all(char in BYTE_OF_CHAR for char in token):
            return token
        return show_bytes(bytes(BYTE_OF_CHAR[char] for char in token))

    def _special(self, name: str) -> int | None:
        token = self._roles.get(_ROLE_OF[name])
        return None if token is None else self._vocab[token]

    @cached_property
    def _encoder(self) -> FastEncoder:
        return FastEncoder(self._backend)

    @cached_property
    def _is_byte_level(self) -> bool:
        values = json.loads(self._backend.to_str())
        return any('"ByteLevel"' in json.dumps(values[part]) for part in ("pre_tokenizer", "decoder"))

    @cached_property
    def _keeps_spaces(self) -> bool:
        """Whether spaces lie in the tokens themselves, so that a decoder puts none between them."""
        decoder = json.dumps(json.loads(self._backend.to_str())["decoder"])
        return self._is_byte_level or any(f'"{kind}"' in decoder for kind in ("Metaspace", "Fuse"))

    @cached_property
    def _single(self) -> _Template:
        return self._find_template(1)

    @cached_property
    def _pair(self) -> _Template:
        return self._find_template(2)

    def _find_template(self, num_texts: int) -> _Template:
        """Read the template off an encoded probe, so that every post-processor of the library is served alike."""
        probe = self._backend.encode("a", "a") if num_texts == 2 else self._backend.encode("a")
        parts: list[list[int]] = [[] for _ in range(num_texts + 1)]
        types: list[list[int]] = [[] for _ in range(num_texts + 1)]
        text_types = [0] * num_texts
        seen = -1
        for index, type_id, text in zip(probe.ids, probe.type_ids, probe.sequence_ids, strict=True):
            if text is None:
                parts[seen + 1].append(index)
                types[seen + 1].append(type_id)
            elif text < seen:
                raise DataError("tokenizer", "puts the second text of a pair before the first", cure="use another one")
            else:
                seen, text_types[text] = text, type_id
        if seen != num_texts - 1:
            raise DataError("tokenizer", "cannot write the letter 'a'", cure="it needs an unknown token or bytes")
        return _Template(
            tuple(np.array(part, dtype=np.int32) for part in parts),
            tuple(np.array(part, dtype=np.int32) for part in types),
            tuple(text_types),
        )

    def _assemble(self, texts: list[np.ndarray], max_length: int | None) -> Encoded:
        template = self._single if len(texts) == 1 else self._pair
        kept = texts
        if max_length is not None:
            room = max_length - template.size
            if room < len(texts):
                raise ConfigError(
                    "max_length",
                    "leaves no room for text beside the special tokens",
                    got=max_length,
                    cure=f"at least {template.size + len(texts)}",
                )
            kept = [ids[:size] for ids, size in zip(texts, _fit([len(ids) for ids in texts], room), strict=True)]
        ids, types = [template.parts[0]], [template.types[0]]
        for text, text_type, part, part_types in zip(
            kept, template.text_types, template.parts[1:], template.types[1:], strict=True
        ):
            ids += [text, part]
            types += [np.full(len(text), text_type, dtype=np.int32), part_types]
        dropped = sum(map(len, texts)) - sum(map(len, kept))
        return Encoded(np.concatenate(ids), np.concatenate(types), dropped)


def train_tokenizer(config: TokenizerConfig, texts: Iterable[str], where: str = "tokenizer") -> Tokenizer:
    """The tokenizer of a recipe: trained on texts (read once), or loaded where the recipe names one."""
    if config.kind == "pretrained":
        return Tokenizer.load(expand_path(config.path, f"{where}.path"))
    return Tokenizer(train_backend(config, texts, where))


def _fit(sizes: list[int], room: int) -> list[int]:
    """Shorten the longer text first, then both alike, as the library's `longest_first` does."""
    if sum(sizes) <= room:
        return sizes
    if len(sizes) == 1:
        return [room]
    shorter = min(sizes)
    longer = max(shorter, room - shorter)
    if shorter + longer > room:
        shorter, longer = room // 2, room - room // 2
    return [longer, shorter] if sizes[0] > sizes[1] else [shorter, longer]
