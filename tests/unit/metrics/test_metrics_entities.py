from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from groundup.errors import DataError
from groundup.language.tags import Span
from groundup.metrics.entities import span_tallies, tag_tallies
from groundup.metrics.tally import measure, value_of

TAG = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
PAIRS = st.lists(st.lists(st.tuples(TAG, TAG), min_size=1, max_size=8), min_size=1, max_size=6)


def values(tallies: dict) -> dict[str, float]:
    return {name: value_of(tally) for name, tally in tallies.items()}


def check_report(found: dict[str, float], report: dict) -> None:
    for kind, expected in report.items():
        if kind == "weighted avg":
            continue
        if kind == "macro avg":
            assert found["macro_f1"] == pytest.approx(expected["f1-score"], abs=1e-12)
            continue
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            name = ours if kind == "micro avg" else f"{ours}[{kind}]"
            assert found[name] == pytest.approx(expected[theirs], abs=1e-12)


@given(PAIRS)
def test_figures_equal_those_of_seqeval(sentences: list[list[tuple[str, str]]]) -> None:
    references, predictions = ([[pair[side] for pair in rows] for rows in sentences] for side in (0, 1))
    if not any(tag != "O" for rows in (*references, *predictions) for tag in rows):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loose = classification_report(references, predictions, output_dict=True, zero_division=0)
        check_report(values(tag_tallies(predictions, references, "iob2", reading="conlleval")), loose)
        strict_found = values(tag_tallies(predictions, references, "iob2"))
        if any(name.startswith("f1[") for name in strict_found):
            strict = classification_report(
                references, predictions, output_dict=True, zero_division=0, mode="strict", scheme=IOB2
            )
            check_report(strict_found, strict)


def read_reference(folder: Path) -> tuple[list[list[str]], list[list[str]]]:
    text = (folder / "metric_refs/seqeval/ground_truth.txt").read_text()
    sentences = [[line.split() for line in block.splitlines()] for block in text.strip().split("\n\n")]
    return [[row[2] for row in rows] for rows in sentences], [[row[3] for row in rows] for rows in sentences]


def test_the_official_script_is_reproduced_to_the_last_digit(data_folder: Path) -> None:
    references, predictions = read_reference(data_folder)
    assert len(references) == 40
    found = values(tag_tallies(predictions, references, "iob2", reading="conlleval"))
    printed = (data_folder / "metric_refs/seqeval/conlleval_output.txt").read_text()
    lines = re.findall(r"(\w+): precision: +([\d.]+)%; recall: +([\d.]+)%; FB1: +([\d.]+)", printed)
    lines += [("", *re.search(r"; precision: +([\d.]+)%; recall: +([\d.]+)%; FB1: +([\d.]+)", printed).groups())]
    assert len(lines) == 7
    for kind, *figures in lines:
        of = f"[{kind}]" if kind else ""
        assert [f"{100 * found[name + of]:.2f}" for name in ("precision", "recall", "f1")] == figures
    assert f"{100 * found['tag_accuracy']:.2f}" == re.search(r"accuracy: +([\d.]+)%", printed)[1]


def test_seqeval_on_the_same_file_is_reproduced_in_both_readings(data_folder: Path) -> None:
    references, predictions = read_reference(data_folder)
    expected = json.loads((data_folder / "metric_refs/seqeval/seqeval_1.2.2_expected.json").read_text())
    loose = values(tag_tallies(predictions, references, "iob2", reading="conlleval"))
    check_report(loose, expected["report"])
    assert loose["tag_accuracy"] == expected["accuracy"]
    strict = values(tag_tallies(predictions, references, "iob2"))
    assert {name: strict[name] for name in ("precision", "recall", "f1")} == pytest.approx(expected["strict_IOB2"])
    assert abs(strict["f1"] - loose["f1"]) > 0.03, "the readings must differ here, or this shows nothing"


def test_nested_spans_count_one_by_one() -> None:
    references = [[Span(0, 8, "ORG"), Span(0, 2, "LOC")], []]
    predictions = [[Span(0, 8, "ORG"), Span(0, 2, "ORG"), Span(0, 8, "ORG")], [Span(1, 2, "LOC")]]
    found = values(span_tallies(predictions, references))
    assert found["precision"] == pytest.approx(1 / 3)
    assert found["recall"] == pytest.approx(1 / 2)
    assert found["f1[ORG]"] == pytest.approx(2 / 3)
    assert found["f1[LOC]"] == 0.0


def test_the_interval_is_over_sentences_and_says_so() -> None:
    generator = np.random.default_rng(0)
    references = [[Span(0, 1, "PER")]] * 50
    predictions = [[Span(0, 1, "PER" if generator.random() < 0.7 else "LOC")] for _ in range(50)]
    metrics = measure(span_tallies(predictions, references, how="character spans", unit="texts"))
    assert metrics["f1"].low < metrics["f1"].value < metrics["f1"].high
    assert metrics["f1"].signature.startswith(
        "entities, character spans|zero_division=0|average=micro|n=50|edges=wilson"
    )
    assert "over texts" in metrics["f1"].signature
    perfect = measure(span_tallies(references, references))["f1"]
    assert perfect.value == 1.0
    assert perfect.low == pytest.approx(0.929, abs=0.001)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="differ in number"):
        span_tallies([[]], [[], []])
    with pytest.raises(DataError, match=r"text 1 has not as many predicted tags as true ones, got \(1, 2\)"):
        tag_tallies([["O"], ["O"]], [["O"], ["O", "O"]], "iob2")
