"""A vocabulary from text: the same text gives the same ids, in any process and with any number of threads.

The trainer of the `tokenizers` library numbers the continuing characters of WordPiece (`##a`) in the order of a hash
map and breaks ties by those numbers, so two runs differ. Here the alphabet is chosen and numbered beforehand, which
leaves the library nothing to draw. Its unigram trainer draws too much for that; `unigram.py` stands in for it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from groundup.errors import ConfigError, DataError
from groundup.text.tokenizer_config import ByteBPE, Characters, TrainedTokenizer, Unigram, WordPiece
from groundup.text.unigram import fit_pieces
from groundup.text.words import (
    ONE_CHARACTER,
    ONE_CHINESE,
    ONE_DIGIT,
    UNIGRAM_WORDS,
    UNIGRAM_WORDS_AND_DIGITS,
    split_at_spaces,
)

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CONTINUING = "##"
_MOST_REPEATED = 10_000
_MOST_CHARACTERS = 1 << 22
"""Of different words that a unigram vocabulary is chosen from; they take some 200 bytes each."""
_MOST_HALVINGS = 32
_LONGEST_REMEMBERED = 40
_MOST_REMEMBERED = 1 << 19
_BLOCK = 4096


def train_backend(config: TrainedTokenizer, texts: Iterable[str], where: str = "tokenizer") -> Tokenizer:
    """Train on texts, read once. Raises DataError where they hold no word, ConfigError for a vocabulary too small."""
    match config:
        case WordPiece():
            return _train_wordpiece(config, texts, where)
        case ByteBPE():
            return _train_byte_bpe(config, texts, where)
        case Unigram():
            return _train_unigram(config, texts, where)
        case Characters():
            return _train_characters(config, texts, where)


def build_wordpiece(
    vocab: dict[str, int],
    *,
    lowercase: bool,
    strip_accents: bool | None = None,
    split_chinese: bool = True,
    special_tokens: tuple[str, ...] = SPECIAL_TOKENS,
) -> Tokenizer:
    """BERT's tokenizer around a vocabulary. `special_tokens` are pad, unknown, cls, sep and mask, in this order."""
    _, unknown, cls, sep, _ = special_tokens
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token=unknown, continuing_subword_prefix=_CONTINUING))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=split_chinese, strip_accents=strip_accents, lowercase=lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=_CONTINUING)
    tokenizer.add_special_tokens([token for token in special_tokens if token in vocab])
    if cls in vocab and sep in vocab:
        tokenizer.post_processor = _template(cls, vocab[cls], sep, vocab[sep])
    return tokenizer


def _template(cls: str, cls_id: int, sep: str, sep_id: int) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(cls, cls_id), (sep, sep_id)],
    )


def _train_byte_bpe(config: ByteBPE, texts: Iterable[str], where: str) -> Tokenizer:
    smallest = 256 + len(SPECIAL_TOKENS)
    if config.vocab_size < smallest:
        raise ConfigError(
            f"{where}.vocab_size",
            "cannot hold the 256 bytes and the special tokens",
            got=config.vocab_size,
            cure=f"at least {smallest}",
        )
    tokenizer = Tokenizer(models.BPE())
    if config.lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    patterns = [(config.split_digits, ONE_DIGIT), (config.split_chinese, ONE_CHINESE)]
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for is_split, pattern in patterns if is_split]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, words]) if splits else words
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() == smallest:
        raise DataError(where, "found no pair of bytes to join in the text", cure="check the files it is trained on")
    tokenizer.post_processor = _template("[CLS]", SPECIAL_TOKENS.index("[CLS]"), "[SEP]", SPECIAL_TOKENS.index("[SEP]"))
    return tokenizer


def _train_unigram(config: Unigram, texts: Iterable[str], where: str) -> Tokenizer:
    splitter = Tokenizer(models.Unigram())
    splitter.normalizer = _find_normalizer(config)
    splitter.pre_tokenizer = pre_tokenizers.Split(
        Regex(UNIGRAM_WORDS_AND_DIGITS if config.split_digits else UNIGRAM_WORDS), "isolated"
    )
    words = _sample_words(splitter, texts)
    if not words:
        raise DataError(where, "found no word in the text", cure="check the files it is trained on")
    alphabet = _choose_alphabet(words, config.character_coverage)
    first = [*SPECIAL_TOKENS, *(f"<0x{byte:02X}>" for byte in range(256))]
    smallest = len(first) + len(alphabet)
    if config.vocab_size < smallest:
        raise ConfigError(
            f"{where}.vocab_size",
            f"cannot hold the 256 bytes and the {len(alphabet)} characters that cover {config.character_coverage:.2%} "
            "of the text",
            got=config.vocab_size,
            cure=f"at least {smallest}, or a lower character_coverage",
        )
    pieces = fit_pieces(words, alphabet, config.vocab_size - len(first))
    vocab = [(token, 0.0) for token in first] + pieces
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=SPECIAL_TOKENS.index("[UNK]"), byte_fallback=True))
    tokenizer.normalizer, tokenizer.pre_tokenizer = splitter.normalizer, splitter.pre_tokenizer
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = _template("[CLS]", SPECIAL_TOKENS.index("[CLS]"), "[SEP]", SPECIAL_TOKENS.index("[SEP]"))
    return tokenizer


def _find_normalizer(config: Unigram) -> normalizers.Normalizer | None:
    forms = {"none": [], "nfc": [normalizers.NFC()], "nfkc": [normalizers.NFKC()]}
    chosen = [*forms[config.normalization], *([normalizers.Lowercase()] if config.lowercase else [])]
    if len(chosen) == 2:
        return normalizers.Sequence(chosen)
    return chosen[0] if chosen else None


class _SpanMemory(dict[str, list[str]]):
    """The words of a span; most were met before, and remembering them is five times as fast."""

    def __init__(self, splitter: Tokenizer) -> None:
        super().__init__()
        self._normalizer, self._pre_tokenizer = splitter.normalizer, splitter.pre_tokenizer

    def __missing__(self, span: str) -> list[str]:
        text = span if self._normalizer is None else self._normalizer.normalize_str(span)
        words = [word for word, _ in self._pre_tokenizer.pre_tokenize_str(text)]
        if len(span) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[span] = words
        return words


def _sample_words(splitter: Tokenizer, texts: Iterable[str]) -> dict[str, int]:
    """Every word with its count, in alphabetical order, of all texts or of an even sample of what would be too much.

    What stands in Chinese between two marks is one word here, so their number grows with the text. Blocks of words are
    drawn by their hash: each time too much has come together, half of them go.
    """
    blocks = [Counter[str]() for _ in range(_MOST_HALVINGS)]
    lowest = size = 0
    words_of = _SpanMemory(splitter)
    for text in texts:
        words = [word for span in split_at_spaces(text) for word in words_of[span]]
        for start in range(0, len(words), _BLOCK):
            block = words[start : start + _BLOCK]
            drawn = int.from_bytes(hashlib.blake2b("".join(block).encode(), digest_size=8).digest())
            level = next(bit for bit in range(_MOST_HALVINGS) if drawn >> bit & 1 or bit == _MOST_HALVINGS - 1)
            if level < lowest:
                continue
            known = blocks[level]
            size += sum(len(word) for word in set(block) if word not in known)
            known.update(block)
            while size > _MOST_CHARACTERS and lowest < level:
                size -= sum(map(len, blocks[lowest]))
                blocks[lowest].clear()
                lowest += 1
    counts: Counter[str] = Counter()
    for block_counts in blocks:
        counts.update(block_counts)
    return dict(sorted(counts.items()))


def _train_characters(config: Characters, texts: Iterable[str], where: str) -> Tokenizer:
    counts: Counter[str] = Counter()
    normalizer = normalizers.Lowercase() if config.lowercase else None
    for text in texts:
        counts.update(text if normalizer is None else normalizer.normalize_str(text))
    if not counts:
        raise DataError(where, "found no character in the text", cure="check the files it is trained on")
    vocab = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *_cover(counts, config.character_coverage)])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(ONE_CHARACTER), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = _template("[CLS]", vocab["[CLS]"], "[SEP]", vocab["[SEP]"])
    return tokenizer


def _train_wordpiece(config: WordPiece, texts: Iterable[str], where: str) -> Tokenizer:
    splitter = build_wordpiece(
        {token: index for index, token in enumerate(SPECIAL_TOKENS)},
        lowercase=config.lowercase,
        strip_accents=config.strip_accents,
    )
    words = _count_words(splitter, texts)
    if not words:
        raise DataError(where, "found no word in the text", cure="check the files it is trained on")
    alphabet = _choose_alphabet(words, config.character_coverage)
    first = [*SPECIAL_TOKENS, *(f"{_CONTINUING}{char}" for char in _continuing(words, alphabet))]
    smallest = len(first) + len(alphabet)
    if config.vocab_size < smallest:
        raise ConfigError(
            f"{where}.vocab_size",
            f"cannot hold the {len(alphabet)} characters that cover {config.character_coverage:.2%} of the text",
            got=config.vocab_size,
            cure=f"at least {smallest}, or a lower character_coverage",
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=first,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        continuing_subword_prefix=_CONTINUING,
        show_progress=False,
    )
    joiner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    joiner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    joiner.train_from_iterator(_repeat_words(words), trainer)
    vocab = joiner.get_vocab(with_added_tokens=True)
    return build_wordpiece(vocab, lowercase=config.lowercase, strip_accents=config.strip_accents)


def _count_words(splitter: Tokenizer, texts: Iterable[str]) -> dict[str, int]:
    """Every word with its count, in alphabetical order."""
    counts: Counter[str] = Counter()
    normalize, split = splitter.normalizer.normalize_str, splitter.pre_tokenizer.pre_tokenize_str
    for text in texts:
        counts.update([word for word, _ in split(normalize(text))])
    return dict(sorted(counts.items()))


def _choose_alphabet(words: dict[str, int], coverage: float) -> list[str]:
    """The characters that make up `coverage` of the words, in alphabetical order."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for char in word:
            counts[char] += count
    return _cover(counts, coverage)


def _cover(counts: Counter[str], coverage: float) -> list[str]:
    """The most frequent characters that make up `coverage` of the text, in alphabetical order."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    needed, covered, kept = coverage * counts.total(), 0, 0
    while kept < len(ranked) and covered < needed:
        covered += ranked[kept][1]
        kept += 1
    return sorted(char for char, _ in ranked[:kept])


def _continuing(words: dict[str, int], alphabet: list[str]) -> list[str]:
    """The characters of the alphabet that stand inside a word; Chinese ones and punctuation never do."""
    inside = {char for word in words for char in word[1:]}
    return [char for char in alphabet if char in inside]


def _repeat_words(words: dict[str, int]) -> Iterator[str]:
    """Each word as often as it was counted, in runs of bounded length."""
    for word, count in words.items():
        for start in range(0, count, _MOST_REPEATED):
            yield " ".join([word] * min(_MOST_REPEATED, count - start))
