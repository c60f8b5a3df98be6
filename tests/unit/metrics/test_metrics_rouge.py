from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from groundup.errors import ConfigError, DataError, MissingExtraError
from groundup.metrics import rouge
from groundup.metrics.rouge import KINDS, rouge_tallies, score_rouge
from groundup.metrics.tally import measure, value_of


def read_case(folder: Path, case: dict) -> tuple[str, str]:
    if "files" in case:
        target, prediction = ((folder / name).read_text() for name in case["files"])
    else:
        target, prediction = (
            (folder / name).read_text().splitlines()[case["line"]] for name in ("target.txt", "prediction.txt")
        )
    return prediction, target


def test_rouge_1_5_5_is_reproduced_to_the_last_digit(data_folder: Path) -> None:
    folder = data_folder / "metric_refs/rouge"
    cases = json.loads((folder / "expected.json").read_text())["cases"]
    assert len(cases) == 9
    changed = 0
    for case in cases:
        prediction, target = read_case(folder, case)
        cut, other = ("english-stems", "english") if case["stem"] else ("english", "english-stems")
        found = score_rouge(prediction, target, cut)[case["metric"]]
        assert [round(value, 5) for value in found] == [case["p"], case["r"], case["f"]]
        changed += found != score_rouge(prediction, target, other)[case["metric"]]
    assert changed, "with or without stems must matter somewhere"


def plain_common(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    @cache
    def length(i: int, j: int) -> int:
        if i == len(first) or j == len(second):
            return 0
        return 1 + length(i + 1, j + 1) if first[i] == second[j] else max(length(i + 1, j), length(i, j + 1))

    return length(0, 0)


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=14)


@given(WORDS, WORDS)
def test_the_common_subsequence_equals_a_plain_reference(first: list[str], second: list[str]) -> None:
    found = score_rouge(" ".join(first), " ".join(second), "english")
    common = plain_common(tuple(first), tuple(second))
    assert found["rougeL"].precision == pytest.approx(common / max(len(first), 1))
    assert found["rougeL"].recall == pytest.approx(common / max(len(second), 1))
    assert found["rougeLsum"] == found["rougeL"], "one line is one sentence"


def test_google_scores_the_same(data_folder: Path) -> None:
    lines = (data_folder / "multi30k/val.en").read_text(encoding="utf-8").splitlines()
    predictions = ["\n".join(lines[start : start + 3]) for start in range(0, 300, 3)]
    references = ["\n".join(lines[start + 1 : start + 5]) for start in range(0, 300, 3)]
    for cut, uses_stems in (("english", False), ("english-stems", True)):
        google = rouge_scorer.RougeScorer(list(KINDS), use_stemmer=uses_stems)
        for prediction, reference in zip(predictions, references, strict=True):
            expected = google.score(reference, prediction)
            found = score_rouge(prediction, reference, cut)
            assert all(tuple(found[kind]) == pytest.approx(tuple(expected[kind]), abs=1e-15) for kind in KINDS)


def test_two_equal_chinese_texts_are_equal() -> None:
    text = "今天天气很好。我们去公园散步。"
    for cut in ("characters", "jieba"):
        assert all(score.f1 == 1.0 for score in score_rouge(text, text, cut).values())
    half = score_rouge("今天天气很好", text, "characters")
    assert half["rouge1"].precision == 1.0
    assert half["rouge1"].recall == pytest.approx(6 / 13), "the stops do not count"
    assert score_rouge("我们散步去公园", "我们去公园散步", "characters")["rougeL"].f1 == pytest.approx(5 / 7)
    assert score_rouge("GPT-4 很好", "gpt-4很好", "characters")["rouge1"].f1 == 1.0


def test_the_cut_of_chinese_stands_in_the_signature_and_changes_the_figure() -> None:
    predictions, references = ["南京市长江大桥建成了"], [["南京市长江大桥通车了"]]
    characters, words = (rouge_tallies(predictions, references, cut)["rouge1"] for cut in ("characters", "jieba"))
    assert value_of(characters) != value_of(words)
    assert characters.signature == "rouge1, f1|words=characters, lower case, signs dropped"
    assert words.signature.startswith("rouge1, f1|words=jieba 0.")


def test_english_words_of_chinese_text_are_refused_and_the_reverse() -> None:
    with pytest.raises(
        ConfigError, match=r"rouge: keeps only the letters a to z.*; cut Chinese into characters or by jieba"
    ):
        rouge_tallies(["今天天气很好"], [["今天天气很好"]], "english")
    with pytest.raises(ConfigError, match="cut English by english"):
        rouge_tallies(["a fine day"], [["a fine day"]], "characters")
    with pytest.raises(DataError, match="text 0 has no reference"):
        rouge_tallies(["a"], [[]], "english")
    with pytest.raises(DataError, match="differ in number"):
        rouge_tallies(["a"], [], "english")


def test_the_best_of_several_references_counts_and_the_interval_is_over_texts() -> None:
    generator = np.random.default_rng(0)
    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    texts = [" ".join(generator.choice(words, 6)) for _ in range(40)]
    others = [" ".join(generator.choice(words, 6)) for _ in range(40)]
    both = rouge_tallies(texts, [[other, text] for text, other in zip(texts, others, strict=True)], "english")
    assert value_of(both["rouge2"]) == 1.0
    metric = measure(rouge_tallies(texts, [[other] for other in others], "english"))["rougeL"]
    assert metric.low < metric.value < metric.high
    assert "over texts" in metric.signature


def test_without_its_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rouge._load_scorer.cache_clear()
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(MissingExtraError, match=r"rouge_score.*metrics"):
        rouge_tallies(["a"], [["a"]], "english")
