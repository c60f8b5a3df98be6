from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.utils.class_weight import compute_class_weight

from groundup.errors import ConfigError, DataError
from groundup.model.config import Dropout, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.readers.table import Example
from groundup.tasks.multi_label import MultiLabel, MultiLabelTask
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

ROWS = [
    Example("fast and cheap", None, None, 2, ("speed", "price")),
    Example("dull and slow", None, None, 3, ("speed",)),
    Example("价格太贵", None, None, 4, ("price",)),
    Example("nothing to say", None, None, 5, ()),
    Example("nobody labelled this one", None, None, 6),
    Example("便宜，速度也快", None, None, 7, ("speed", "price")),
]
LABELS = ("price", "speed")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [row.text for row in ROWS] * 3
    return train_tokenizer(WordPiece(vocab_size=200, min_frequency=1, character_coverage=1.0), texts)


def build(tokenizer: Tokenizer, **settings: object) -> MultiLabelTask:
    return MultiLabel(**settings).build(tokenizer, LABELS)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Transformer:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_layers=1,
        num_heads=2,
        intermediate_size=32,
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        initializer_range=0.3,
        heads=(build(tokenizer).head.model_copy(update={"dropout": 0.0}),),
    )
    model = Transformer(config)
    initialize(model, 0)
    return model.eval()


def measure(task: MultiLabelTask, model: Transformer) -> dict[str, np.ndarray]:
    samples = task.encode(ROWS, "t.csv")
    with torch.inference_mode():
        parts = [task.measure(model, task.prepare([samples[number]], 0, 0)) for number in (3, 0, 5, 4, 2, 1)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_rows_carry_all_of_their_labels(tokenizer: Tokenizer) -> None:
    task = build(tokenizer)
    assert MultiLabel().choose_labels(ROWS, "t.csv") == LABELS
    samples = task.encode(ROWS, "t.csv")
    assert [samples[number].targets["has_label"].tolist() for number in range(3)] == [
        [True, True],
        [False, True],
        [True, False],
    ]
    assert samples.report.label_counts == {"price": 3, "speed": 3}
    batch = task.prepare([samples[number] for number in range(6)], 0, 0)
    assert batch.count == 5, "an unlabelled row is no row without labels"
    lines = task.show(batch)
    assert [line.split("]")[0] + "]" for line in lines] == [
        "[price, speed]",
        "[speed]",
        "[price]",
        "[no label]",
        "[unlabelled]",
        "[price, speed]",
    ]
    one = [ROWS[0]._replace(label="price", labels=None)]
    assert task.encode(one, "t.csv")[0].targets["has_label"].tolist() == [True, False], "a single label is one of many"
    assert task.encode(ROWS[:1], "t.csv").digest != task.encode(one, "t.csv").digest


def test_the_loss_is_that_of_torch(tokenizer: Tokenizer, model: Transformer) -> None:
    task = build(tokenizer)
    samples = task.encode(ROWS, "t.csv")
    batch = task.prepare([samples[number] for number in range(6)], 0, 0)
    loss = task.loss(model, batch)
    known = batch.targets["is_labelled"]
    logits = model.heads["classification"](model.summarize(batch.packed))[known]
    wanted = batch.targets["has_label"][known].float()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
    torch.testing.assert_close(loss.sum / loss.count, expected)


def test_thresholds_are_chosen_where_f1_is_largest_and_travel(tokenizer: Tokenizer, model: Transformer) -> None:
    for form in ("shared", "per_label"):
        task = build(tokenizer, threshold=form)
        measured = measure(task, model)
        with pytest.raises(ConfigError, match=r"objective\.threshold: was not chosen yet"):
            task.decode(measured, ())
        tuned = task.tune(measured, ())
        assert tuned.thresholds is not None and (len(set(tuned.thresholds)) == 1) == (form == "shared")
        assert task.restore(json.loads(json.dumps(tuned.facts))) == tuned
        before, after = task.score(measured, ()), tuned.score(measured, ())
        assert {name: each.value for name, each in before.items()} == {name: each.value for name, each in after.items()}
        assert "chosen on these rows" in before["f1"].signature
        assert "chosen" not in after["f1"].signature and "threshold=" in after["f1"].signature
        even = build(tokenizer, threshold=0.5).score(measured, ())
        chosen_by = "f1" if form == "shared" else "macro_f1"
        assert after[chosen_by].value >= even[chosen_by].value


def test_predictions_and_figures_are_those_of_the_definition(tokenizer: Tokenizer, model: Transformer) -> None:
    task = build(tokenizer, threshold=0.45)
    measured = measure(task, model)
    shares = 1 / (1 + np.exp(-measured["logits"].astype(np.float64)))
    order = np.argsort(measured["sample"])
    predictions = task.decode(measured, ())
    assert len(predictions) == 6
    for prediction, row in zip(predictions, shares[order], strict=True):
        assert list(prediction.probabilities.values()) == pytest.approx(row.tolist(), rel=1e-12)
        assert prediction.labels == tuple(label for label, share in zip(LABELS, row, strict=True) if share >= 0.45)
    assert task.answer(ROWS[0], predictions[0]) == {
        "text": ROWS[0].text,
        "labels": list(predictions[0].labels),
        "probabilities": predictions[0].probabilities,
    }
    known = measured["is_labelled"]
    truth, found = measured["has_label"][known], shares[known] >= 0.45
    metrics = task.score(measured, ())
    for name, average in (("f1", "micro"), ("macro_f1", "macro"), ("samples_f1", "samples")):
        assert metrics[name].value == pytest.approx(f1_score(truth, found, average=average, zero_division=0))
    assert metrics["loss"].value == pytest.approx(measured["loss"][known].mean(dtype=np.float64))
    classes = task.details(measured, ()).classes
    assert set(classes) == {f"{name}[{label}]" for name in ("precision", "recall", "f1", "auc") for label in LABELS}
    assert classes["auc[price]"].value == pytest.approx(roc_auc_score(truth[:, 0], shares[known][:, 0]))


def test_balanced_labels_weigh_as_scikit_learn_says(tokenizer: Tokenizer) -> None:
    task = build(tokenizer, class_weights="balanced").fit(ROWS[:4], "t.csv")
    assert task.weights is not None
    for number, label in enumerate(LABELS):
        has_label = np.array([label in (row.labels or ()) for row in ROWS[:4]])
        expected = compute_class_weight("balanced", classes=np.array([False, True]), y=has_label)
        assert [task.weights[0][number], task.weights[1][number]] == pytest.approx(expected.tolist())
    assert build(tokenizer, class_weights={"speed": 4.0}).weights == ((1.0, 1.0), (1.0, 4.0))
    with pytest.raises(DataError, match="no row of a class that is to be balanced, got 'not speed'"):
        build(tokenizer, class_weights="balanced").fit(ROWS[:2], "t.csv")


def test_what_cannot_be_learnt_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(
        DataError, match=r"t\.csv:9: has a label unseen in training, got 'prise'; did you mean 'price'\?"
    ):
        build(tokenizer).encode([Example("x", None, None, 9, ("price", "prise"))], "t.csv")
    with pytest.raises(DataError, match="holds no row with a label"):
        MultiLabel().choose_labels(ROWS[3:5], "t.csv")
    with pytest.raises(DataError, match=r"rows of one label each, got '价格；物流'; set data\.separator=\"；\""):
        MultiLabel().choose_labels([Example("x", None, each, 2) for each in ("价格", "价格；物流")], "t.csv")
    assert MultiLabel().choose_labels([Example("x", None, each, 2) for each in ("a", ";)")], "t.csv") == (";)", "a")
    with pytest.raises(ConfigError, match="one or more different labels"):
        MultiLabel().build(tokenizer, ())
    with pytest.raises(DataError, match="no row has labels"):
        task = build(tokenizer)
        task.score({name: values[:0] for name, values in measure_nothing(task).items()}, ())


def measure_nothing(task: MultiLabelTask) -> dict[str, np.ndarray]:
    return {
        "logits": np.zeros((1, 2), dtype=np.float32),
        "loss": np.zeros(1),
        "has_label": np.zeros((1, 2), dtype=bool),
        "is_labelled": np.zeros(1, dtype=bool),
        "sample": np.zeros(1, dtype=np.int64),
    }
