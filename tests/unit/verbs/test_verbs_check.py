"""Check: that its figures are right, that it warns of what it should, and that it writes nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from groundup.errors import DataError, TrainingError
from groundup.model.estimate import estimate
from groundup.objectives.masked import MaskedObjective
from groundup.objectives.protocol import Loss
from groundup.readers.table import TableConfig
from groundup.text.corpus import Corpus
from groundup.text.corpus_config import CorpusConfig
from groundup.verbs import check_data
from groundup.verbs.assemble import as_recipe, assemble, build_model
from groundup.verbs.check import check
from groundup.verbs.check_data import SampledWindows, read_corpus, read_split
from groundup.verbs.check_step import describe_design
from groundup.verbs.layout import display_width

Make = Callable[..., dict]


def list_names(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@pytest.mark.parametrize("kind", ["masked", "classification"])
def test_it_foretells_the_run_and_writes_nothing(make_recipe: Make, small_data: Path, kind: str) -> None:
    recipe = make_recipe(kind)
    before = list_names(small_data)
    report = check(recipe)
    assert list_names(small_data) == before
    parts = assemble(as_recipe(recipe), small_data / "run", quiet=True)
    model, _ = build_model(as_recipe(recipe), parts)
    assert report.design.num_parameters == sum(parameter.numel() for parameter in model.parameters())
    assert report.plan.sequences == len(parts.train) and not report.plan.is_estimate
    assert report.tokenizer.vocab_size == parts.tokenizer.vocab_size and report.tokenizer.is_final
    assert report.plan.steps == 12 and report.plan.validations == 3
    choices = 2 if kind == "classification" else parts.tokenizer.vocab_size
    assert report.step is not None
    assert report.step.expected_loss == pytest.approx(math.log(choices))
    assert report.step.loss == pytest.approx(math.log(choices), abs=0.3)
    assert report.plan.seconds is not None and report.plan.seconds > 0


@pytest.mark.parametrize("kind", ["masked", "classification"])
def test_the_report_is_json_and_fits_eighty_columns(make_recipe: Make, kind: str) -> None:
    report = check(make_recipe(kind))
    assert json.loads(json.dumps(report.to_json(), ensure_ascii=False))["plan"]["steps"] == 12
    # Only a path, which has no place to break at, may be longer.
    assert all(display_width(line) <= 80 or "/" in line for line in str(report).splitlines())


def test_the_vocabulary_is_counted_for_the_tokens_that_choose_from_it(make_recipe: Make, small_data: Path) -> None:
    """Every token is a target of `replaced`; masked ones alone, of the generator, have logits over the vocabulary."""
    recipe = as_recipe(
        make_recipe("masked") | {"objective": {"kind": "replaced", "generator_size": 0.5, "max_length": 32}}
    )
    parts = assemble(recipe, small_data / "run", quiet=True)
    config = build_model(recipe, parts)[0].config
    batch = parts.objective.prepare([parts.train[number] for number in range(16)], 0, 0)
    found = describe_design(config, recipe, parts.objective, [batch], torch.device("cpu"))
    lengths, masked = batch.packed.lengths, len(batch.targets["rows"])

    def expect(rows: int) -> float:
        share = rows / sum(lengths)
        return estimate(config, batch_tokens=99, lengths=lengths, target_fraction=share).training_flops_per_token

    assert found.training_flops_per_token == pytest.approx(expect(masked), rel=1e-9)
    assert expect(batch.count) > 1.1 * expect(masked)


def test_the_generators_of_the_caller_are_left_alone(make_recipe: Make) -> None:
    recipe = make_recipe("masked")
    one, other = check(recipe), check(recipe)
    assert one.step is not None and other.step is not None
    assert one.step.loss == other.step.loss


def test_labels_duplicates_leaks_and_the_baseline(make_recipe: Make, small_data: Path) -> None:
    rows = ["a cat\tcat", "a cat\tcat", "a cat\tnone", "a dog\tnone", "the dog\tnone", "the bird\tnone"]
    (small_data / "train.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    (small_data / "dev.tsv").write_text("text\tlabel\na dog\tnone\ntwo cat\tcat\nred\tcat\n", encoding="utf-8")
    report = check(make_recipe("classification"))
    train, validation = report.splits
    assert (train.duplicates, train.contradictions, validation.seen_in_train) == (2, 1, 1)
    assert report.labels == ("cat", "none") and train.label_counts == {"cat": 2, "none": 4}
    assert report.baseline is not None
    assert (report.baseline.label, report.baseline.split) == ("none", "validation")
    assert report.baseline.accuracy == pytest.approx(1 / 3)
    text = "\n".join(report.warnings)
    for part in (
        "2 rows (33.3%) a second time",
        "another label: 1",
        "1 text (33.3%) of validation",
        "Fewer than 10 rows",
    ):
        assert part in text, (part, text)


def test_what_test_holds_is_read_too(make_recipe: Make, small_data: Path) -> None:
    (small_data / "test.tsv").write_text("text\tlabel\na dog\tnone\n", encoding="utf-8")
    report = check(make_recipe("classification", data={"test": str(small_data / "test.tsv")}))
    assert [split.name for split in report.splits] == ["train", "validation", "test"]
    assert report.baseline is not None and report.baseline.split == "validation"
    (small_data / "test.tsv").write_text("text\tlabel\na dog\tother\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.test:2: has a label unseen in training, got 'other'"):
        check(make_recipe("classification", data={"test": str(small_data / "test.tsv")}))


def test_what_truncation_loses_is_counted_to_the_token(make_recipe: Make, small_data: Path) -> None:
    whole = check(make_recipe("classification", model={"max_length": 64}, objective={"max_length": 64}))
    cut = check(make_recipe("classification", objective={"max_length": 10}))
    assert whole.lengths.num_cut == 0 and whole.lengths.tokens_lost == 0
    parts = assemble(
        as_recipe(make_recipe("classification", objective={"max_length": 10})), small_data / "run", quiet=True
    )
    assert cut.lengths.tokens_lost == parts.train.report.tokens_lost  # type: ignore[union-attr]
    assert cut.lengths.num_cut == parts.train.report.num_truncated > 0  # type: ignore[union-attr]
    assert cut.lengths.longest == whole.lengths.longest > 10
    assert "would keep 90% of them whole" in "\n".join(cut.warnings)


def test_settings_worth_a_second_look(make_recipe: Make) -> None:
    few = check(make_recipe("classification", train={"batch_size": 500, "evaluate_every": 50}))
    text = "\n".join(few.warnings)
    assert "batch_size=500" in text and "evaluate_every=50" in text
    assert "positions" in "\n".join(check(make_recipe("classification", model={"max_length": 400})).warnings)
    quiet = check(make_recipe("classification", model={"max_length": 32}))
    assert not any("positions" in warning or "batch_size" in warning for warning in quiet.warnings)


def test_wild_weights_are_noticed(make_recipe: Make) -> None:
    report = check(make_recipe("masked", model={"initializer_range": 3.0}))
    assert "initializer_range" in "\n".join(report.warnings)


def test_a_loss_that_is_not_finite_is_an_error(make_recipe: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    original = MaskedObjective.loss

    def loss(self: MaskedObjective, model: object, batch: object) -> Loss:
        value = original(self, model, batch)
        return Loss(value.sum * torch.nan, value.count)

    monkeypatch.setattr(MaskedObjective, "loss", loss)
    with pytest.raises(TrainingError, match="step 0: is not finite"):
        check(make_recipe("masked"))


def test_a_step_beyond_memory_is_never_taken(make_recipe: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groundup.verbs.check_step.available_memory", lambda device: 500_000)
    report = check(make_recipe("masked"))
    assert report.step is None and report.plan.seconds is None
    assert "hardly fit into memory" in "\n".join(report.warnings)
    assert "does not fit into memory" in str(report)


def test_a_run_that_has_begun_is_recognised(make_recipe: Make) -> None:
    from groundup.verbs.train import train

    recipe = make_recipe("classification")
    assert check(recipe).output_state == "new"
    train(recipe, quiet=True)
    assert check(recipe).output_state == "finished"


def test_a_part_of_a_large_corpus_is_read_and_the_rest_estimated(
    make_recipe: Make, small_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (small_data / "text.txt").read_text(encoding="utf-8")
    (small_data / "text.txt").write_text(text * 40, encoding="utf-8")
    whole = check(make_recipe("masked"))
    monkeypatch.setattr(check_data, "READ_BYTES", {"lines": 60_000, "columns": 60_000})
    monkeypatch.setattr(check_data, "SAMPLE_CHARS", 20_000)
    part = check(make_recipe("masked"))
    assert part.plan.is_estimate and not whole.plan.is_estimate
    assert part.plan.sequences == pytest.approx(whole.plan.sequences, rel=0.1)
    assert part.splits[0].estimated_count == pytest.approx(whole.splits[0].count, rel=0.1)
    assert "of train was read" in "\n".join(part.warnings)


def test_sampled_windows_are_those_of_the_prepared_corpus(make_recipe: Make, small_data: Path) -> None:
    recipe = as_recipe(make_recipe("masked"))
    parts = assemble(recipe, small_data / "run", quiet=True)
    assert isinstance(parts.train, Corpus) and isinstance(recipe.data, CorpusConfig)
    _, texts, _ = read_corpus(recipe.data, "train", frozenset())
    frame = recipe.objective.frame(parts.tokenizer)
    sampled = SampledWindows(parts.tokenizer.encode_plain(texts), frame, 32, recipe.data.min_length)
    assert np.array_equal(sampled.lengths, parts.train.lengths)
    for index in (0, len(sampled) - 1):
        assert np.array_equal(sampled[index].input_ids, parts.train[index].input_ids)
    assert sampled.num_text_tokens == parts.train.manifest.counts["tokens"]
    assert sampled.num_window_tokens == parts.train.num_text_tokens


def test_documents_of_a_corpus_are_counted_and_compared(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two\nthree\none two\n\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("three\nfour", encoding="utf-8")
    config = CorpusConfig(train=(str(tmp_path / "a.txt"),), validation=(str(tmp_path / "b.txt"),))
    train, texts, seen = read_corpus(config, "train", frozenset())
    assert (train.count, train.duplicates, train.share_read, texts) == (3, 1, 1.0, ["one two", "three", "one two"])
    validation, _, _ = read_corpus(config, "validation", seen)
    assert (validation.count, validation.seen_in_train) == (2, 1)


def test_pairs_are_the_same_text_only_together(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("a\tb\tlabel\nx\ty\t1\nx\tz\t0\nx\ty\t1\n", encoding="utf-8")
    config = TableConfig(train=str(tmp_path / "t.tsv"), text="a", pair="b")
    split, rows, _ = read_split(config, "train", frozenset())
    assert (len(rows), split.duplicates, split.contradictions) == (3, 1, 0)


def test_choices_that_are_one_text_are_named(make_recipe: Make, small_data: Path) -> None:
    rows = ['q,a,b,"a ",0', "问,山,水,水,0", "r,a,b,c,0", "s,c,b,b,0"]
    file = small_data / "quiz.csv"
    file.write_text("\n".join(["question,A,B,C,answer", *rows]) + "\n", encoding="utf-8")
    recipe = make_recipe("multiple_choice", train={"evaluate_every": None})
    report = check(recipe | {"data": {"kind": "choices", "train": str(file), "choices": ["A", "B", "C"]}})
    assert [(each.what, each.count) for each in report.splits[0].findings] == [
        ("has a choice twice", 2),
        ("has the right choice twice", 1),
    ]
    for part in (
        f"2 rows of train have a choice twice; the first: {file}:3: '水' of 问",
        f"1 row of train has the right choice twice; the first: {file}:2: 'a' of q",
    ):
        assert part in report.warnings, part


def test_a_label_that_a_row_has_twice_is_told_and_counts_once(make_recipe: Make, small_data: Path) -> None:
    file = small_data / "tags.csv"
    file.write_text("text,label\n快,速度;价格;速度\nfast,速度\nnothing,\ncheap,价格 ;价格\n", encoding="utf-8")
    recipe = make_recipe("multi_label", train={"evaluate_every": None}, objective={"threshold": 0.5})
    report = check(recipe | {"data": {"kind": "table", "train": str(file), "separator": ";"}})
    assert report.splits[0].label_counts == {"速度": 2, "价格": 2}
    what = f"2 rows of train have a label twice, which counts once; the first: {file}:2: 速度 of 快"
    assert what in report.warnings


def test_tagged_data_are_told_by_the_types_of_their_entities(make_recipe: Make, small_data: Path) -> None:
    file = small_data / "names.txt"
    file.write_text(
        "Anna B-PER\nBerg I-PER\nsaw O\nTom B-PER\n\n李 B-PER\n红 I-PER\n\nLeiden B-LOC\n", encoding="utf-8"
    )
    recipe = make_recipe("tagging", train={"evaluate_every": None})
    report = check(recipe | {"data": {"kind": "tagged", "train": str(file)}})
    assert report.labels == ("LOC", "PER") and report.splits[0].label_counts == {"PER": 3, "LOC": 1}
    text = str(report)
    assert "4 tags of iob2 by word" in text and "B-PER" not in text
    assert re.search(r"^type +train\nLOC +1 +25.0%\nPER +3 +75.0%$", text, re.MULTILINE), text
    assert "Fewer than 10 entities of train have the type 'PER', 'LOC'." in report.warnings
    file.write_text("Anna B-PER\n\nLeiden LOC\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.train:3: is no tag of IOB1, .*, got 'LOC'; write O, or B-TYPE"):
        check(recipe | {"data": {"kind": "tagged", "train": str(file)}})


def test_entities_that_no_span_holds_are_counted_with_the_cure(make_recipe: Make, small_data: Path) -> None:
    texts = {"train": "Anna saw Tom", "validation": "Anna van den Berg saw Tom", "test": "王小明看见了 Tom"}
    data: dict = {"kind": "tagged"}
    for name, text in texts.items():
        marks = [[0, text.index("saw") - 1 if "saw" in text else 3, "PER"], [len(text) - 3, len(text), "PER"]]
        (small_data / f"{name}.jsonl").write_text(json.dumps({"text": text, "spans": marks}), encoding="utf-8")
        data[name] = str(small_data / f"{name}.jsonl")
    recipe = make_recipe("span_classification") | {"data": data}
    told = [f"In {name}, 1 of 2 entities have more than 1 word" for name in ("validation", "test")]
    cures = ["objective.max_span=4 has room for all.", "objective.max_span=3 has room for all."]
    expected = [f"{what} and can only be missed; {cure}" for what, cure in zip(told, cures, strict=True)]
    assert [warning for warning in check(recipe).warnings if "missed" in warning] == expected
    recipe["objective"] = recipe["objective"] | {"max_span": 4}
    assert not any("missed" in warning for warning in check(recipe).warnings)


@pytest.mark.parametrize(("data", "leaked"), [("chnsenticorp", 335), ("glue/SST-2", 0)])
def test_a_leak_in_released_data_is_found(data_folder: Path, data: str, leaked: int) -> None:
    """A third of the ChnSentiCorp file in circulation stands in its training file too."""
    folder = data_folder / data
    text = "text_a" if data == "chnsenticorp" else "sentence"
    config = TableConfig(train=str(folder / "train.tsv"), validation=str(folder / "dev.tsv"), text=text)
    _, _, seen = read_split(config, "train", frozenset())
    split, _, _ = read_split(config, "validation", seen)
    assert split.seen_in_train == leaked
