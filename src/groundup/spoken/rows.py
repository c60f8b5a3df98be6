"""Rows of prompt and completion in both directions, and the three files of a corpus of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, Literal, TypedDict, get_args

from groundup.errors import ConfigError, DataError
from groundup.spoken.form import LANGUAGES, Kind, Language, check_choice
from groundup.spoken.pairs import Pair, Split, iterate_pairs

Direction = Literal["to_written", "to_spoken"]

DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
_TAGS: Final[Mapping[tuple[str, str], str]] = {
    ("en", "to_written"): "write: ",
    ("en", "to_spoken"): "say: ",
    ("zh", "to_written"): "写：",
    ("zh", "to_spoken"): "读：",
}


class Row(TypedDict):
    """One task: what is asked, and the one right answer."""

    prompt: str
    completion: str
    language: Language
    kind: Kind
    direction: Direction
    pattern: str
    split: Split


def make_prompt(text: str, direction: str, language: str) -> str:
    """What a model is asked: `write: half past three`, `say: 3:30`, `写：三点半`, `读：3:30`."""
    check_choice("direction", direction, DIRECTIONS)
    check_choice("language", language, LANGUAGES)
    return _TAGS[language, direction] + text


def text_of(row: Row) -> str:
    """The prompt of a row without what tells the direction."""
    return row["prompt"].removeprefix(_TAGS[row["language"], row["direction"]])


def draw_rows(split: str, count: int, seed: int = 0, languages: Sequence[str] = LANGUAGES) -> list[Row]:
    """The first `count` rows of a split, no prompt twice. More of them begin with the same ones."""
    if count < 0:
        raise ConfigError("spoken.count", "must be at least 0", got=count)
    return list(islice(make_rows(iterate_pairs(split, seed, languages), split), count))


def make_rows(pairs: Iterable[Pair], split: str) -> Iterator[Row]:
    """Both directions of each pair, each prompt once.

    A sentence is asked for in its canonical form; where the split does not allow the pattern of that form, the pair
    gives the one direction only.
    """
    seen: set[str] = set()
    for pair in pairs:
        rows = [_make_row(pair.spoken, pair.written, "to_written", pair.pattern, pair, split)]
        if pair.is_canonical_held_out == (split == "test_patterns"):
            rows.append(_make_row(pair.written, pair.canonical, "to_spoken", pair.canonical_pattern, pair, split))
        for row in rows:
            if row["prompt"] not in seen:
                seen.add(row["prompt"])
                yield row


def _make_row(text: str, completion: str, direction: Direction, pattern: str, pair: Pair, split: str) -> Row:
    return Row(
        prompt=make_prompt(text, direction, pair.language),
        completion=completion,
        language=pair.language,
        kind=pair.kind,
        direction=direction,
        pattern=pattern,
        split=split,
    )


def write_rows(rows: Iterable[Row], path: str | Path) -> int:
    """Write a jsonl file; the number of rows comes back."""
    path = Path(path)
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            return sum(1 for row in rows if file.write(json.dumps(row, ensure_ascii=False) + "\n"))
    except OSError as error:
        raise DataError(str(path), "cannot be written", got=error.strerror, cure="choose another folder") from error


def write_corpus(
    folder: str | Path,
    *,
    train: int = 20_000,
    validation: int = 1_000,
    test: int = 1_000,
    seed: int = 0,
    languages: Sequence[str] = LANGUAGES,
) -> dict[str, int]:
    """Write `train.jsonl`, `validation.jsonl` and `test.jsonl` into a folder.

    Args:
        folder: made where it does not exist.
        train: rows of `train.jsonl`.
        validation: rows of `validation.jsonl`.
        test: rows of each of the two test splits, which `test.jsonl` holds one after the other.
        seed: the same seed and numbers give the same bytes.
        languages: those whose rows are drawn.

    Returns:
        The rows written of each split.
    """
    files: dict[str, tuple[tuple[str, int], ...]] = {
        "train.jsonl": (("train", train),),
        "validation.jsonl": (("validation", validation),),
        "test.jsonl": (("test_values", test), ("test_patterns", test)),
    }
    rows = {split: draw_rows(split, count, seed, languages) for parts in files.values() for split, count in parts}
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(str(folder), "cannot be made", got=error.strerror, cure="choose another folder") from error
    for name, parts in files.items():
        write_rows((row for split, _ in parts for row in rows[split]), Path(folder) / name)
    return {split: len(drawn) for split, drawn in rows.items()}
