"""Rows in both directions, the files they are written to, the count of exact answers, and the baselines."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from pathlib import Path

import pytest

from groundup.errors import ConfigError, DataError
from groundup.readers.records import Layout, iterate_rows
from groundup.spoken.baselines import NearestNeighbour, copy_texts
from groundup.spoken.grammar import carriers_of, is_pattern_held_out, name_pattern
from groundup.spoken.pairs import SPLITS, draw_pairs
from groundup.spoken.rows import DIRECTIONS, Row, draw_rows, make_prompt, make_rows, text_of, write_corpus, write_rows
from groundup.spoken.score import Tally, is_exact, score, sum_tallies


def _row(prompt: str, completion: str, **others: str) -> Row:
    base = Row(
        prompt=prompt,
        completion=completion,
        language="en",
        kind="number",
        direction="to_written",
        pattern="{number} | cardinal",
        split="train",
    )
    return Row(**{**base, **others})


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    return {split: draw_rows(split, 2_000 if split == "train" else 800) for split in SPLITS}


def test_a_pair_is_asked_for_in_both_directions() -> None:
    pair = next(
        pair for pair in draw_pairs("train", 500) if pair.spoken != pair.canonical and not pair.is_canonical_held_out
    )
    one, other = make_rows([pair], "train")
    assert (one["prompt"], one["completion"]) == (make_prompt(pair.spoken, "to_written", pair.language), pair.written)
    assert other["prompt"] == make_prompt(pair.written, "to_spoken", pair.language)
    assert (other["completion"], other["pattern"]) == (pair.canonical, pair.canonical_pattern)
    assert text_of(one) == pair.spoken and text_of(other) == pair.written


def test_prompts_tell_the_direction() -> None:
    assert make_prompt("half past three", "to_written", "en") == "write: half past three"
    assert make_prompt("3:30", "to_spoken", "en") == "say: 3:30"
    assert make_prompt("三点半", "to_written", "zh") == "写：三点半"
    assert make_prompt("3:30", "to_spoken", "zh") == "读：3:30"


@pytest.mark.parametrize("split", SPLITS)
def test_no_prompt_is_asked_twice(rows, split: str) -> None:
    assert len({row["prompt"] for row in rows[split]}) == len(rows[split])
    directions = Counter(row["direction"] for row in rows[split])
    assert 0.35 < directions["to_spoken"] / len(rows[split]) <= 0.5
    assert {row["split"] for row in rows[split]} == {split} and set(directions) == set(DIRECTIONS)


def test_no_prompt_of_another_split_is_trained_on(rows) -> None:
    known = {row["prompt"] for row in rows["train"]}
    for split in SPLITS[1:]:
        assert not known & {row["prompt"] for row in rows[split]}


def test_patterns_of_both_directions_keep_to_their_split(rows) -> None:
    """Also that of the canonical form, which the spoken side of the pair need not have."""
    held_out: dict[str, bool] = {}
    carriers = {carrier.text: carrier for language in ("en", "zh") for carrier in carriers_of(language)}
    for split in SPLITS:
        for row in rows[split]:
            text, _, styles = row["pattern"].partition(" | ")
            carrier, parts = carriers[text], tuple(styles.split(" + ")) if styles else ()
            assert name_pattern(carrier, parts) == row["pattern"]
            held_out[row["pattern"]] = is_pattern_held_out(carrier, parts)
            assert held_out[row["pattern"]] == (split == "test_patterns")
    assert 200 < sum(held_out.values()) < len(held_out)


@pytest.mark.parametrize("split", SPLITS)
def test_more_rows_begin_with_the_same_ones(rows, split: str) -> None:
    assert draw_rows(split, 101) == rows[split][:101]


def test_a_corpus_is_three_files_of_the_same_bytes(tmp_path: Path) -> None:
    drawn = {"train": 60, "validation": 20, "test": 30}
    for name in ("one", "other"):
        counts = write_corpus(tmp_path / name / "deep", **drawn, seed=3)
        assert counts == {"train": 60, "validation": 20, "test_values": 30, "test_patterns": 30}
    write_corpus(tmp_path / "third", **drawn, seed=4)
    hashes = [
        [hashlib.sha256((folder / f"{name}.jsonl").read_bytes()).hexdigest() for name in drawn]
        for folder in (tmp_path / "one" / "deep", tmp_path / "other" / "deep", tmp_path / "third")
    ]
    assert hashes[0] == hashes[1] and not set(hashes[1]) & set(hashes[2])
    read = [row.fields for row in iterate_rows(tmp_path / "third" / "test.jsonl", Layout())]
    assert read == draw_rows("test_values", 30, 4) + draw_rows("test_patterns", 30, 4)
    assert list(read[0]) == ["prompt", "completion", "language", "kind", "direction", "pattern", "split"]


def test_chinese_is_written_as_itself(tmp_path: Path) -> None:
    assert write_rows(draw_rows("train", 5, languages=("zh",)), tmp_path / "rows.jsonl") == 5
    text = (tmp_path / "rows.jsonl").read_text(encoding="utf-8")
    assert "\\u" not in text and "：" in text and len(text.splitlines()) == 5


def test_a_file_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError, match="taken: cannot be made, got "):
        write_corpus(tmp_path / "taken", train=1, validation=1, test=1)
    with pytest.raises(DataError, match=r"rows\.jsonl: cannot be written, got "):
        write_rows([], tmp_path / "none" / "rows.jsonl")


@pytest.mark.parametrize(
    "call",
    [
        lambda: draw_rows("train", -1),
        lambda: sum_tallies([], "colour"),
    ],
)
def test_what_is_unknown_is_one_error(call) -> None:
    with pytest.raises(ConfigError, match=r"^spoken\.\w+: .+, got "):
        call()


def test_answers_are_counted_where_they_belong() -> None:
    rows = [
        _row("write: two", "2"),
        _row("write: nine", "9"),
        _row("say: 2", "two", direction="to_spoken"),
        _row("写：两点", "2:00", language="zh", kind="time", split="test_values"),
    ]
    tallies = score(rows, [" 2\n", "8", "two", "02:00"])
    assert tallies == [
        Tally("en", "number", "to_spoken", "train", 1, 1),
        Tally("en", "number", "to_written", "train", 1, 2),
        Tally("zh", "time", "to_written", "test_values", 0, 1),
    ]
    assert sum_tallies(tallies) == [Tally("", "", "", "", 2, 4)]
    assert sum_tallies(tallies, "language") == [Tally("en", "", "", "", 2, 3), Tally("zh", "", "", "", 0, 1)]
    assert score([], []) == [] == sum_tallies([])


def test_only_the_same_characters_are_exact() -> None:
    row = _row("write: two thousand", "2000")
    assert is_exact(row, "2000") and is_exact(row, "  2000 ")
    assert not any(is_exact(row, answer) for answer in ("2,000", "2000.", "２０００", "20 00", ""))


def test_a_completion_is_needed_for_every_row() -> None:
    with pytest.raises(DataError, match="for every row, got '1 for 2 rows'"):
        score([_row("a", "b"), _row("c", "d")], ["b"])


def test_right_answers_score_all_and_wrong_ones_nothing(rows) -> None:
    for split in SPLITS:
        right = sum_tallies(score(rows[split], [row["completion"] for row in rows[split]]))
        assert right[0].right == right[0].total == len(rows[split])
        wrong = sum_tallies(score(rows[split], [row["completion"] + "0" for row in rows[split]]))
        assert wrong[0].right == 0


def test_the_nearest_neighbour_of_a_known_prompt_is_itself(rows) -> None:
    nearest = NearestNeighbour(rows["train"])
    assert nearest.answer(row["prompt"] for row in rows["train"][:300]) == [
        row["completion"] for row in rows["train"][:300]
    ]


def test_the_nearest_neighbour_agrees_with_a_plain_search(rows) -> None:
    train, tests = rows["train"][:150], rows["test_patterns"][:40]

    def grams(text: str) -> Counter[str]:
        return Counter(text[at : at + size] for size in (2, 3) for at in range(len(text) - size + 1))

    known = [grams(row["prompt"]) for row in train]
    rarity = {gram: math.log1p(len(train) / sum(gram in each for each in known)) for each in known for gram in each}

    def cosine(one: Counter[str], other: Counter[str]) -> float:
        dot = sum(count * other[gram] * rarity[gram] ** 2 for gram, count in one.items() if gram in other)
        return dot / math.sqrt(sum((count * rarity[gram]) ** 2 for gram, count in other.items()))

    nearest = NearestNeighbour(train)
    for row in tests:
        wanted = grams(row["prompt"])
        similar = [cosine(wanted, each) for each in known]
        assert similar[nearest.find(row["prompt"])] == pytest.approx(max(similar), rel=1e-5)


def test_the_nearest_neighbour_needs_something_to_know() -> None:
    with pytest.raises(DataError, match="no row to answer from"):
        NearestNeighbour([])
    assert NearestNeighbour([_row("write: two", "2")]).answer(["", "完全不同"]) == ["2", "2"]


def test_looking_up_does_not_solve_the_tests_and_copying_only_what_has_no_value(rows) -> None:
    nearest = NearestNeighbour(rows["train"])
    for split in ("test_values", "test_patterns"):
        found = score(rows[split], nearest.answer(row["prompt"] for row in rows[split]))
        assert sum_tallies(found)[0].right <= 0.02 * len(rows[split])
        for tally in sum_tallies(score(rows[split], copy_texts(rows[split])), "kind"):
            assert tally.right == (tally.total if tally.kind == "plain" else 0)
