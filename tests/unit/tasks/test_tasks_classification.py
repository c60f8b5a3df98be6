from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from groundup.errors import ConfigError, DataError
from groundup.model.config import Dropout, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.readers.table import Example
from groundup.tasks.classification import UNLABELLED, Classification, ClassificationTask, find_labels
from groundup.text.sample import Sample, Samples
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

ROWS = [
    Example("a fine film with a warm heart", None, "positive", 2),
    Example("dull and far too long", None, "negative", 3),
    Example("今年最好的电影之一", None, "positive", 4),
    Example("故事没有意思", None, "negative", 5),
    Example("nobody labelled this one", None, None, 6),
]
LABELS = ("negative", "positive")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [example.text for example in ROWS] * 3
    return train_tokenizer(WordPiece(vocab_size=300, min_frequency=1, character_coverage=1.0), texts)


@pytest.fixture
def task(tokenizer: Tokenizer) -> ClassificationTask:
    return Classification().build(tokenizer, LABELS)


@pytest.fixture
def model(tokenizer: Tokenizer, task: ClassificationTask) -> Transformer:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_layers=1,
        num_heads=2,
        intermediate_size=64,
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        initializer_range=0.1,
        heads=(task.head.model_copy(update={"dropout": 0.0}),),
    )
    model = Transformer(config)
    initialize(model, 0)
    return model


def test_rows_become_samples_in_their_order(task: ClassificationTask, tokenizer: Tokenizer) -> None:
    samples = task.encode(ROWS, "films.tsv")
    assert isinstance(samples, Samples)
    assert len(samples) == 5
    for number, example in enumerate(ROWS):
        sample, encoded = samples[number], tokenizer.encode(example.text)
        assert sample.index == number
        np.testing.assert_array_equal(sample.input_ids, encoded.input_ids)
        np.testing.assert_array_equal(sample.token_type_ids, encoded.token_type_ids)
        assert samples.lengths[number] == len(sample.input_ids)
    assert [samples[number].label for number in range(5)] == [1, 0, 1, 0, None]
    assert samples.report.label_counts == {"negative": 2, "positive": 2}
    for outside in (-1, 5):
        with pytest.raises(IndexError):
            samples[outside]


def test_pairs_carry_token_types(task: ClassificationTask, tokenizer: Tokenizer) -> None:
    samples = task.encode(
        [Example("a film", "电影", "positive", 1), Example("a film", None, "negative", 2)], "pairs.tsv"
    )
    np.testing.assert_array_equal(samples[0].input_ids, tokenizer.encode("a film", "电影").input_ids)
    assert set(samples[0].token_type_ids.tolist()) == {0, 1}
    assert set(samples[1].token_type_ids.tolist()) == {0}


def test_truncation_and_empty_rows_are_counted(tokenizer: Tokenizer) -> None:
    rows = [
        Example("dull dull dull dull dull", None, "a", 1),
        Example("dull", None, "b", 2),
        Example(" ", None, "a", 3),
    ]
    samples = Classification(max_length=5).build(tokenizer, ("a", "b")).encode(rows, "t.csv")
    assert samples.lengths.tolist() == [5, 3, 2]
    report = samples.report
    assert (report.num_rows, report.num_truncated, report.tokens_lost, report.num_empty) == (3, 1, 2, 1)
    assert samples[2].input_ids.tolist() == [*tokenizer.prefix_ids, *tokenizer.suffix_ids]


def test_the_digest_follows_text_labels_and_their_order(tokenizer: Tokenizer) -> None:
    def digest(rows: list[Example], labels: tuple[str, ...] = LABELS, max_length: int = 128) -> str:
        return Classification(max_length=max_length).build(tokenizer, labels).encode(rows, "t.csv").digest

    same = digest(ROWS)
    assert digest(list(ROWS)) == same
    assert digest(ROWS[::-1]) != same
    assert digest([ROWS[0]._replace(label="negative"), *ROWS[1:]]) != same
    assert digest(ROWS, LABELS[::-1]) != same
    assert digest(ROWS, max_length=4) != same


def test_an_unseen_label_is_named_with_its_line_and_the_nearest(task: ClassificationTask) -> None:
    rows = [*ROWS, Example("fine", None, "positiv", 41)]
    with pytest.raises(DataError) as caught:
        task.encode(rows, "dev.tsv")
    assert str(caught.value) == (
        "dev.tsv:41: has a label unseen in training, got 'positiv'; "
        "did you mean 'positive'? known labels: negative, positive"
    )


def test_labels_come_from_the_table_in_order() -> None:
    assert find_labels(ROWS, "t.csv") == LABELS
    numbers = [Example("x", None, label, 1) for label in ("10", "9", "0", "9")]
    assert find_labels(numbers, "t.csv") == ("0", "9", "10")
    assert Classification().choose_labels(ROWS, "t.csv") == LABELS
    assert Classification(labels=("b", "a")).choose_labels(ROWS, "t.csv") == ("b", "a")


@pytest.mark.parametrize(("rows", "words"), [(ROWS[:1], "a single label"), (ROWS[4:], "no label")])
def test_a_table_without_two_classes_is_refused(rows: list[Example], words: str) -> None:
    with pytest.raises(DataError, match=f"t.csv: holds {words}"):
        find_labels(rows, "t.csv")


def test_a_table_without_rows_is_refused(task: ClassificationTask) -> None:
    with pytest.raises(DataError, match="holds no row"):
        task.encode([], "t.csv")


def test_contradictory_labels_are_refused(tokenizer: Tokenizer) -> None:
    for labels in (("a",), ("a", "a")):
        with pytest.raises(ConfigError, match="two or more different labels"):
            Classification().build(tokenizer, labels)
    with pytest.raises(ConfigError, match="differ from the labels at hand"):
        Classification(labels=("a", "b")).build(tokenizer, ("b", "a"))
    with pytest.raises(ConfigError, match="binary"):
        Classification(average="binary").build(tokenizer, ("a", "b", "c"))
    with pytest.raises(ValidationError):
        Classification(average="harmonic")


def test_unlabelled_rows_change_neither_loss_nor_count(task: ClassificationTask, model: Transformer) -> None:
    samples = task.encode(ROWS, "t.csv")
    all_rows = task.prepare([samples[number] for number in range(5)], 0, 0)
    labelled = task.prepare([samples[number] for number in range(4)], 0, 0)
    assert all_rows.targets["labels"].tolist() == [1, 0, 1, 0, UNLABELLED]
    assert all_rows.count == labelled.count == 4
    torch.testing.assert_close(task.loss(model, all_rows).sum, task.loss(model, labelled).sum)
    nothing = task.prepare([samples[4]], 0, 0)
    loss = task.loss(model, nothing)
    loss.sum.backward()
    assert (loss.sum.item(), loss.count) == (0.0, 0)


def measure(task: ClassificationTask, model: Transformer, order: list[int]) -> dict[str, np.ndarray]:
    samples = task.encode(ROWS, "t.csv")
    with torch.inference_mode():
        parts = [task.measure(model.eval(), task.prepare([samples[number]], 0, 0)) for number in order]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_predictions_come_in_the_order_of_the_rows(task: ClassificationTask, model: Transformer) -> None:
    forward, mixed = measure(task, model, [0, 1, 2, 3, 4]), measure(task, model, [3, 0, 4, 2, 1])
    predictions = task.decode(mixed, ())
    assert len(predictions) == 5
    for number, prediction in enumerate(predictions):
        expected = dict(zip(LABELS, np.exp(forward["log_probabilities"][number]).tolist(), strict=True))
        assert prediction.probabilities == pytest.approx(expected, abs=1e-6)
        assert sum(prediction.probabilities.values()) == pytest.approx(1.0, abs=1e-12)
        assert prediction.label == max(expected, key=expected.get)
    assert len({prediction.probabilities["positive"] for prediction in predictions}) == 5


def test_scores_are_over_labelled_rows_alone(task: ClassificationTask, model: Transformer) -> None:
    measured = measure(task, model, [3, 0, 4, 2, 1])
    metrics = task.score(measured, ())
    rows = measured["label"] != UNLABELLED
    picked = measured["log_probabilities"][rows, measured["label"][rows]]
    assert metrics["loss"].value == pytest.approx(-picked.mean(), rel=1e-6)
    right = measured["log_probabilities"][rows].argmax(axis=1) == measured["label"][rows]
    assert metrics["accuracy"].value == right.mean()
    assert all(metric.count == 4 for metric in metrics.values())
    assert "positive=positive" in metrics["f1"].signature
    assert task.best[0] in metrics
    details = task.details(measured, ())
    assert details.confusion.sum() == 4
    assert set(details.classes) >= {"f1[negative]", "f1[positive]"}
    with pytest.raises(DataError, match="no row has a label"):
        task.score({name: values[~rows] for name, values in measured.items()}, ())


def test_a_model_learns_to_tell_the_classes_apart(task: ClassificationTask, model: Transformer) -> None:
    samples = task.encode(ROWS, "t.csv")
    batch = task.prepare([samples[number] for number in range(5)], 0, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(60):
        loss = task.loss(model, batch)
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        optimizer.step()
    assert task.score(measure(task, model, [0, 1, 2, 3, 4]), ())["accuracy"].value == 1.0


def test_show_gives_text_and_label(task: ClassificationTask) -> None:
    samples = task.encode(ROWS, "t.csv")
    batch = task.prepare([samples[number] for number in (1, 3, 4)], 0, 0)
    lines = task.show(batch)
    assert lines[0].startswith("[negative] [CLS] dull ")
    assert lines[1] == "[negative] [CLS] 故 事 没 有 意 思 [SEP]"
    assert lines[2].startswith("[unlabelled] [CLS] ")


def test_samples_are_not_changed_by_a_batch(task: ClassificationTask) -> None:
    sample = Sample(0, np.array([2, 7, 3], dtype=np.int32), None, 1)
    batch = task.prepare([sample], 0, 0)
    batch.packed.input_ids.zero_()
    assert sample.input_ids.tolist() == [2, 7, 3]


def test_rows_weigh_what_their_class_does(tokenizer: Tokenizer, model: Transformer) -> None:
    """The sum is weighted, the count is not, so a step may be cut anywhere."""

    def losses(task: ClassificationTask) -> list[float]:
        samples = task.encode(ROWS, "t.csv")
        return [task.loss(model.eval(), task.prepare([samples[number]], 0, 0)).sum.item() for number in range(5)]

    plain = losses(Classification().build(tokenizer, LABELS))
    weighted = losses(Classification(class_weights={"positive": 3.0}).build(tokenizer, LABELS))
    assert weighted == pytest.approx([3 * plain[0], plain[1], 3 * plain[2], plain[3], 0.0])
    task = Classification(class_weights="balanced").build(tokenizer, LABELS)
    assert losses(task) == pytest.approx(plain), "what is not known yet is not used"
    uneven = task.fit([*ROWS[:1], *ROWS[1:2] * 3], "t.csv")
    assert uneven.weights == (4 / 6, 4 / 2)
    assert task.restore(json.loads(json.dumps(uneven.facts))) == uneven, "and it travels with the model"
    assert losses(uneven) == pytest.approx([2 * plain[0], 2 / 3 * plain[1], 2 * plain[2], 2 / 3 * plain[3], 0.0])
    with pytest.raises(ConfigError, match="did you mean 'positive'"):
        Classification(class_weights={"positiv": 3.0}).build(tokenizer, LABELS)


def test_probabilities_are_judged_too(task: ClassificationTask, model: Transformer) -> None:
    """AUC and calibration as scikit-learn and the definition have them; without a second class there is no AUC."""
    measured = measure(task, model, [0, 1, 2, 3, 4])
    metrics, rows = task.score(measured, ()), measured["label"] >= 0
    shares = np.exp(measured["log_probabilities"][rows].astype(np.float64))
    labels = measured["label"][rows]
    assert metrics["auc"].value == pytest.approx(roc_auc_score(labels, shares[:, 1]))
    assert metrics["matthews"].value == pytest.approx(matthews_corrcoef(labels, shares.argmax(axis=1)))
    assert "expected calibration error" in metrics["calibration_error"].signature
    assert "auc" not in task.score({name: values[[0, 2]] for name, values in measured.items()}, ())


@pytest.mark.parametrize("name", ["accuracy", "f1", "macro_f1", "matthews", "loss"])
def test_the_best_checkpoint_is_chosen_by_what_is_asked_for(name: str, tokenizer: Tokenizer) -> None:
    for labels in (LABELS, ("a", "b", "c")):
        task = Classification(best=name).build(tokenizer, labels)
        measured = {
            "log_probabilities": np.log(np.full((3, len(labels)), 1 / len(labels))),
            "loss": np.ones(3),
            "label": np.array([0, 1, 1]),
            "sample": np.arange(3),
        }
        found, is_larger_better = task.best
        assert found in task.score(measured, ()) and is_larger_better == (name != "loss")
