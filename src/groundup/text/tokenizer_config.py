"""The choices of how text becomes ids."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from groundup.config import Config

VocabSize = Annotated[int, Field(gt=0, le=1 << 20)]
"""The trainers make room for all entries at once, so a slip of the keyboard would take all memory."""


class WordPiece(Config):
    """Words split greedily into the longest known pieces (Schuster and Nakajima 2012), as in BERT."""

    kind: Literal["wordpiece"] = "wordpiece"
    vocab_size: VocabSize = 16_000
    """The most entries, the five special tokens included; fewer where the text gives no more."""
    lowercase: bool = True
    """Fold capital letters. Chinese is not touched by it."""
    strip_accents: bool | None = None
    """Drop accents from letters; null does so exactly where `lowercase` is on, as BERT does."""
    min_frequency: PositiveInt = 2
    """How often a pair of pieces must occur to be joined."""
    character_coverage: float = Field(0.9999, gt=0.0, le=1.0)
    """The most frequent characters are kept until they make up this share of the text; the others become `[UNK]`."""


class ByteBPE(Config):
    """Byte pairs joined by frequency (Sennrich et al. 2016) over bytes (Radford et al. 2019): nothing is unknown."""

    kind: Literal["byte_bpe"] = "byte_bpe"
    vocab_size: VocabSize = 16_000
    """The most entries, the five special tokens and the 256 bytes included; fewer where the text gives no more."""
    min_frequency: PositiveInt = 2
    """How often a pair of pieces must occur to be joined."""
    lowercase: bool = False
    """Fold capital letters."""
    split_digits: bool = False
    """Keep every digit a token of its own, so that numbers are read place by place; a space before one stands alone."""
    split_chinese: bool = False
    """Keep every Chinese character apart, as BERT does: no token then holds more than one of them."""


class Unigram(Config):
    """The pieces with which a text is most probable (Kudo 2018), as in SentencePiece, T5 and XLNet: nothing is unknown.

    Spaces are kept in the pieces, so decoding gives the (normalised) text back. A piece never goes beyond a word, which
    ends at white space, digits and punctuation; of Chinese and kana it holds four characters at most.
    """

    kind: Literal["unigram"] = "unigram"
    vocab_size: VocabSize = 16_000
    """The most entries, the five special tokens and the 256 bytes included; fewer where the text gives no more."""
    character_coverage: float = Field(0.9995, gt=0.0, le=1.0)
    """The most frequent characters are kept until they make up this share of the text; the others become bytes."""
    normalization: Literal["none", "nfc", "nfkc"] = "nfc"
    """Unicode's forms: `nfc` makes one character of a letter and its accent, `nfkc` also folds full-width forms."""
    lowercase: bool = False
    """Fold capital letters."""
    split_digits: bool = False
    """Keep every digit a token of its own, so that numbers are read place by place; a space before one stands alone."""


class Characters(Config):
    """One id for each character, white space included: no word is ever unknown, and decoding gives the text back."""

    kind: Literal["characters"] = "characters"
    lowercase: bool = False
    """Fold capital letters; decoding then gives small ones."""
    character_coverage: float = Field(1.0, gt=0.0, le=1.0)
    """The most frequent characters are kept until they make up this share of the text; the others become `[UNK]`."""


class PretrainedTokenizer(Config):
    """A tokenizer that exists already."""

    kind: Literal["pretrained"] = "pretrained"
    path: str
    """A folder with `tokenizer.json`, BERT's `vocab.txt` or GPT-2's `vocab.json` and `merges.txt`, or such a file.

    `${NAME}` is taken from the environment.
    """


class ExtendedTokenizer(Config):
    """A tokenizer that exists already, with entries for the words of a new text.

    With pretrained weights, each new row of the embedding starts as the mean of the rows that wrote it before.
    """

    kind: Literal["extended"] = "extended"
    path: str
    """The tokenizer to extend: as in `pretrained`."""
    add: Annotated[int, Field(gt=0, le=1 << 18)] = 1000
    """The most new entries; fewer where the text gives no more."""
    min_frequency: PositiveInt = 10
    """How often two pieces must stand together, or an unknown character occur, to become an entry."""


TrainedTokenizer = WordPiece | ByteBPE | Unigram | Characters
TokenizerConfig = Annotated[TrainedTokenizer | PretrainedTokenizer | ExtendedTokenizer, Field(discriminator="kind")]
