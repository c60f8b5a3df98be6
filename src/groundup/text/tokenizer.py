"""Text to ids and back: a thin layer over the `tokenizers` library that is safe to share and plain to read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Literal, SupportsInt, final

import numpy as np
from jaxtyping import Int32
from tokenizers import Encoding
from tokenizers import Tokenizer as Backend

from groundup.config import expand_path
from groundup.errors import ConfigError, DataError
from groundup.text.fast_encode import FastEncoder, FlatIds
from groundup.text.readable import BYTE_OF_CHAR, join_chinese, number_parts, show_bytes
from groundup.text.template import Encoded, Template
from groundup.text.tokenizer_config import (
    ByteBPE,
    Characters,
    ExtendedTokenizer,
    PretrainedTokenizer,
    TokenizerConfig,
    Unigram,
    WordPiece,
)
from groundup.text.tokenizer_extension import extend_backend, split_entry
from groundup.text.tokenizer_files import complete_roles, default_settings, leave_end_open, read_tokenizer
from groundup.text.tokenizer_training import train_backend

__all__ = [
    "ByteBPE",
    "Characters",
    "Encoded",
    "ExtendedTokenizer",
    "PretrainedTokenizer",
    "Tokenizer",
    "TokenizerConfig",
    "Unigram",
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
_BYTE_PIECE = re.compile("<0x[0-9A-F]{2}>")
_TEXT_AND_BYTES = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}


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

    def with_special(self, names: Sequence[str]) -> Tokenizer:
        """Another tokenizer with more special tokens at the end of its vocabulary."""
        backend = Backend.from_str(self._backend.to_str())
        backend.add_special_tokens(list(names))
        return Tokenizer(backend, dict(self._roles), dict(self._settings))

    def files(self, *, for_prompts: bool = False) -> dict[str, bytes]:
        """What `save` writes, by file name.

        With `for_prompts`, as a decoder wants it, others who read the files add no end to a text. `load` frames texts
        as before.
        """
        text, settings = self._backend.to_str(pretty=True), self._settings
        if for_prompts:
            text, settings = leave_end_open(text, settings, self._roles)
        written = json.dumps(settings, ensure_ascii=False, indent=2, sort_keys=True)
        return {"tokenizer.json": text.encode(), "tokenizer_config.json": f"{written}\n".encode()}

    def extend(self, texts: Iterable[str], *, add: int, min_frequency: int, where: str = "tokenizer") -> Tokenizer:
        """This tokenizer with up to `add` more entries for the words of other texts, their ids behind the old ones."""
        backend = extend_backend(self._backend, texts, add=add, min_frequency=min_frequency, where=where)
        return Tokenizer(backend, dict(self._roles), self._settings)

    def split_entry(self, entry: str) -> list[int]:
        """The ids in which this vocabulary writes an entry of an extended one; none where it cannot."""
        return split_entry(self._backend, entry)

    def entry(self, index: int) -> str:
        """An entry as the vocabulary holds it."""
        return self._backend.id_to_token(index) or ""

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
        return tuple(self._single.before.tolist())

    @cached_property
    def suffix_ids(self) -> tuple[int, ...]:
        """Special ids after a single text."""
        return tuple(self._single.after.tolist())

    @property
    def pair_parts(self) -> tuple[Int32[np.ndarray, " _ids"], ...]:
        """The special ids before, between and after the two texts of a pair."""
        return self._pair.parts

    def encode(self, text: str, pair: str | None = None, max_length: int | None = None) -> Encoded:
        """One text, or a pair of texts, with special tokens. `max_length` counts them too."""
        return self.encode_batch([text if pair is None else (text, pair)], max_length)[0]

    def encode_batch(self, texts: Sequence[str | tuple[str, str]], max_length: int | None = None) -> list[Encoded]:
        """Many texts or pairs at once, each with special tokens; a pair is truncated at its longer text first."""
        if not texts:
            return []
        parts = [(text,) if isinstance(text, str) else tuple(text) for text in texts]
        ids = iter(self.encode_plain([part for texts_of_one in parts for part in texts_of_one]))
        return [
            (self._single if len(texts_of_one) == 1 else self._pair).fill([next(ids) for _ in texts_of_one], max_length)
            for texts_of_one in parts
        ]

    def join_pair(self, first: np.ndarray, second: np.ndarray) -> Encoded:
        """The ids of two texts, without special tokens, as a pair with them."""
        return self._pair.fill([first, second], None)

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
        if not (self._is_byte_level or self._has_byte_pieces):
            return self.decode(kept).encode()
        return b"".join(self._bytes_of(self._backend.id_to_token(index) or "") for index in kept)

    def tokens(self, ids: Iterable[SupportsInt]) -> list[str]:
        """Each token in real characters; bytes that are no whole character are shown as `<0xE4>`."""
        return [self._show(int(index)) for index in ids]

    def pieces(self, ids: Sequence[SupportsInt]) -> list[str]:
        """Each token in characters that can be read; a part of one, as bytes may be, is numbered: `你¹`, `你²`."""
        if not (self._is_byte_level or self._has_byte_pieces):
            return self.tokens(ids)
        found: list[str] = []
        for is_special, run in groupby(map(int, ids), key=self.special_ids.__contains__):
            together = list(run)
            if is_special:
                found += self.tokens(together)
            else:
                found += number_parts([self._bytes_of(self._backend.id_to_token(each) or "") for each in together])
        return found

    def id_of(self, token: str) -> int | None:
        """The id of an entry as the vocabulary writes it; None where there is none."""
        return self._vocab.get(token)

    def _show(self, index: int) -> str:
        token = self._backend.id_to_token(index)
        if token is None:
            return f"<{index}?>"
        if not self._is_byte_level or index in self.special_ids:
            return token
        return show_bytes(self._bytes_of(token))

    def _bytes_of(self, token: str) -> bytes:
        if self._has_byte_pieces:
            return bytes([int(token[3:5], 16)]) if _BYTE_PIECE.fullmatch(token) else token.encode()
        is_text = BYTE_OF_CHAR.keys() >= set(token)
        return bytes(map(BYTE_OF_CHAR.__getitem__, token)) if is_text else token.encode()

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
    def _has_byte_pieces(self) -> bool:
        """Whether tokens are text as it stands, and single bytes where that is not in the vocabulary."""
        return json.loads(self._backend.to_str())["decoder"] == _TEXT_AND_BYTES

    @cached_property
    def _keeps_spaces(self) -> bool:
        """Whether spaces lie in the tokens themselves, so that a decoder puts none between them."""
        decoder = json.dumps(json.loads(self._backend.to_str())["decoder"])
        return self._is_byte_level or any(f'"{kind}"' in decoder for kind in ("Metaspace", "Fuse"))

    @cached_property
    def _single(self) -> Template:
        return Template.read(self._backend, 1)

    @cached_property
    def _pair(self) -> Template:
        return Template.read(self._backend, 2)


def train_tokenizer(config: TokenizerConfig, texts: Iterable[str], where: str = "tokenizer") -> Tokenizer:
    """The tokenizer of a recipe: trained on texts (read once), or loaded where the recipe names one."""
    if config.kind == "pretrained":
        return Tokenizer.load(expand_path(config.path, f"{where}.path"))
    if config.kind == "extended":
        base = Tokenizer.load(expand_path(config.path, f"{where}.path"))
        return base.extend(texts, add=config.add, min_frequency=config.min_frequency, where=where)
    return Tokenizer(train_backend(config, texts, where))
