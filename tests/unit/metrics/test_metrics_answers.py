from __future__ import annotations

import json
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import ConfigError, DataError
from groundup.metrics import mixed_words as module
from groundup.metrics.answers import (
    answer_tallies,
    choose_rule,
    cmrc_exact,
    cmrc_f1,
    find_threshold,
    normalize,
    score_answers,
    squad_exact,
    squad_f1,
)
from groundup.metrics.mixed_words import mixed_words
from groundup.metrics.tally import measure, value_of


def read_answers(path: Path) -> dict[str, list[str]]:
    data = json.loads(path.read_text(encoding="utf-8"))["data"]
    questions = [question for article in data for part in article["paragraphs"] for question in part["qas"]]
    return {question["id"]: [answer["text"] for answer in question["answers"]] for question in questions}


def test_five_systems_score_as_by_the_official_script(data_folder: Path) -> None:
    references = read_answers(data_folder / "xquad/xquad.en.json")
    folder = data_folder / "metric_refs/squad"
    expected = json.loads((folder / "expected_evaluate-v2.0_on_xquad_en.json").read_text())
    names = {name.split(" ")[0].rstrip("+"): name for name in expected}
    files = sorted(folder.glob("*.xquad_en_subset.predictions.json"))
    assert len(files) == 5
    for file in files:
        short = file.name.split(".")[0].split("_")[0].removesuffix("plus")
        official = expected[names[short]]
        answers = json.loads(file.read_text(encoding="utf-8"))
        for rule in ("squad1.1", "squad2.0"):
            tallies = answer_tallies([answers[key] for key in references], list(references.values()), rule)
            assert value_of(tallies["exact"]) == pytest.approx(official["exact"], abs=1e-10)
            assert value_of(tallies["f1"]) == pytest.approx(official["f1"], abs=1e-10)
            assert tallies["f1"].count == official["total"]
        no_case = {key: answer.upper() for key, answer in answers.items()}
        same = answer_tallies([no_case[key] for key in references], list(references.values()), "squad2.0")
        assert value_of(same["f1"]) == pytest.approx(official["f1"], abs=1e-10)
        shifted = [[answer + " extra" for answer in each] for each in references.values()]
        assert value_of(answer_tallies([answers[key] for key in references], shifted, "squad2.0")["exact"]) < 5


@pytest.mark.parametrize("name", ["cmrc2018/cmrc2018_dev.json", "cmrc2018/cmrc2018_trial.json", "xquad/xquad.zh.json"])
def test_gold_answers_score_100_in_chinese(data_folder: Path, name: str) -> None:
    references = list(read_answers(data_folder / name).values())[::4]
    for tally in answer_tallies([answers[-1] for answers in references], references, "cmrc2018").values():
        assert value_of(tally) == 100.0
    for tally in answer_tallies(["无"] * len(references), references, "cmrc2018").values():
        assert value_of(tally) < 2


def test_the_comparable_form_by_hand() -> None:
    assert normalize("The  U.S. Army's “An apple”") == "us armys “ apple”"
    assert normalize("A theatre, a man") == "theatre man"
    assert squad_exact("the Panthers!", "Panthers") == 1.0
    assert squad_f1("Denver Broncos team", "the Denver Broncos") == pytest.approx(0.8)
    assert squad_f1("to be or not to be", "to be") == pytest.approx(2 * (2 / 6) / (2 / 6 + 1))
    assert squad_f1("cat", "dog") == 0.0
    assert squad_f1("the", "") == 1.0
    assert squad_f1("the", "", rewards_none=False) == 0.0
    assert squad_f1("x", "") == 0.0


def test_chinese_answers_by_hand() -> None:
    assert cmrc_exact("《战国无双3》", "战国无双3") == 1.0
    assert cmrc_exact("光荣", "光荣公司") == 0.0
    # 光 荣 公 司 against 光 荣 和 ω force: a stretch of two, of four and of five.
    assert cmrc_f1("光荣公司", "光荣和ω-force") == pytest.approx(2 * (2 / 4) * (2 / 4) / 1)
    # The longest stretch, not all that is alike: 年 is in both but stands apart.
    assert cmrc_f1("2005年", "二零零五年") == pytest.approx(2 * (1 / 2) * (1 / 5) / (1 / 2 + 1 / 5))
    assert cmrc_f1("", "光") == 0.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Lionel Richie(美国)", ["lionel", "richie", "(", "美", "国", ")"]),
        ("增长3.5%，约1,000人", ["增", "长", "3.5", "%", "，", "约", "1,000", "人"]),
        ("It's U.S. made.", ["it", "'s", "u.s.", "made", "."]),
        ('他说"don\'t"', ["他", "说", "``", "do", "n't", "''"]),
        ("cannot…wait", ["can", "not…wait"]),
        ("ＡＢＣ一", ["ａｂｃ", "一"]),
        ("", []),
    ],
)
def test_mixed_text_is_cut_into_characters_and_words(text: str, words: list[str]) -> None:
    assert mixed_words(text) == words


def test_marks_that_are_dropped_join_what_they_parted() -> None:
    assert mixed_words("ω-force：三、四", keeps_marks=False) == ["ωforce", "三", "四"]
    assert "…" not in module.MARKS


CHARS = st.text(alphabet="光荣公司ab ，-3", max_size=12)


@given(CHARS, CHARS)
def test_f1_of_chinese_equals_a_plain_reference(prediction: str, answer: str) -> None:
    first, second = (mixed_words(text, keeps_marks=False) for text in (prediction, answer))
    common = SequenceMatcher(None, first, second, autojunk=False).find_longest_match().size
    expected = 0.0 if not common else 2 * common / (len(first) + len(second))
    assert cmrc_f1(prediction, answer) == pytest.approx(expected)
    assert cmrc_f1(prediction, answer) == pytest.approx(cmrc_f1(answer, prediction))


def test_questions_without_answer_are_scored_apart() -> None:
    references = [["Denver Broncos", "Broncos"], [], ["1999"], []]
    metrics = measure(answer_tallies(["Broncos", "", "", "something"], references, "squad2.0"))
    assert {name: metric.value for name, metric in metrics.items()} == {
        "exact": 50.0,
        "f1": 50.0,
        "answerable_exact": 50.0,
        "answerable_f1": 50.0,
        "unanswerable_exact": 50.0,
        "unanswerable_f1": 50.0,
    }
    assert metrics["answerable_f1"].count == 2
    with pytest.raises(DataError, match=r"question 1 has no true answer; score it by squad2.0"):
        score_answers(["a", "b"], [["a"], []], "squad1.1")
    with pytest.raises(DataError, match="differ in number"):
        score_answers(["a"], [], "squad1.1")


def test_chinese_questions_without_answer_count_as_in_squad() -> None:
    references = [["光荣公司"], [], ["1999年"], []]
    metrics = measure(answer_tallies(["光荣", "", "", "有"], references, "cmrc2018+none"))
    assert metrics["f1"].value == pytest.approx(100 * (2 * (1 / 2) / (1 / 2 + 1) + 1) / 4)
    assert metrics["unanswerable_exact"].value == 50.0 and metrics["answerable_exact"].value == 0.0
    assert metrics["exact"].signature.startswith("cmrc2018+none|")
    with pytest.raises(DataError, match=r"question 1 has no true answer; score it by cmrc2018\+none"):
        score_answers(["a", "b"], [["光"], []], "cmrc2018")


def test_the_rule_follows_the_language_of_the_answers() -> None:
    assert choose_rule(["Broncos", "1999"], knows_none=False) == "squad1.1"
    assert choose_rule(["Broncos 刘翔 and a longer text"], knows_none=True) == "squad2.0"
    assert choose_rule(["光荣", "Broncos"], knows_none=False) == "cmrc2018"
    assert choose_rule(["光荣"], knows_none=True) == "cmrc2018+none"


def test_a_rule_for_another_language_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"squad2.0: splits words at spaces.*; score Chinese answers by cmrc2018"):
        answer_tallies(["光荣"], [["光荣"]], "squad2.0")
    with pytest.raises(ConfigError, match="cmrc2018: is for Chinese"):
        answer_tallies(["Broncos"], [["Broncos"]], "cmrc2018")
    assert answer_tallies(["1999"], [["1999"]], "cmrc2018"), "digits are of no language"
    names = ["Liu Xiang 刘翔 ran in the relay of the national team", "another answer"]
    assert answer_tallies(names, [[name] for name in names], "squad1.1")


def search_plainly(scores: np.ndarray, chances: np.ndarray, has_answer: np.ndarray) -> float:
    """The best mean over all thresholds that there are."""
    found = [np.where(chances <= limit, scores, ~has_answer).mean() for limit in [-1.0, *chances]]
    return 100 * max(found)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), st.booleans()), min_size=1, max_size=12))
def test_the_best_threshold_is_the_best_and_gives_what_it_says(rows: list[tuple[float, int, bool]]) -> None:
    values, chances, has_answer = (np.array(column) for column in zip(*rows, strict=True))
    scores = np.where(has_answer, values, (values > 0.5).astype(float))
    chances = chances / 5 + 0.1
    found = find_threshold(scores, chances, has_answer)
    assert found.score == pytest.approx(search_plainly(scores, chances, has_answer))
    for near in (-0.04, 0.0, 0.04):  # probabilities are a fifth apart: what another machine rounds decides nothing
        applied = np.where(chances + near <= found.value, scores, ~has_answer)
        assert 100 * applied.mean() == pytest.approx(found.score)


def test_thresholds_need_questions() -> None:
    with pytest.raises(DataError, match="as many, and some"):
        find_threshold(np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool))
