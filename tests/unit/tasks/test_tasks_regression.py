from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from groundup.errors import DataError
from groundup.model.config import Dropout, ModelConfig
from groundup.model.initialize import initialize
from groundup.model.transformer import Transformer
from groundup.readers.table import Example
from groundup.tasks.regression import Regression, RegressionTask
from groundup.text.tokenizer import Tokenizer, WordPiece, train_tokenizer

PRICES = ["250000", "310000.5", "1.2e5", "99000"]
TEXTS = ["a flat in town", "两室一厅", "a small house", "车库"]
ROWS = [Example(text, None, price, line) for line, (text, price) in enumerate(zip(TEXTS, PRICES, strict=True), start=2)]
ROWS.append(Example("nobody knows", None, None, 6))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [row.text for row in ROWS] * 3
    return train_tokenizer(WordPiece(vocab_size=200, min_frequency=1, character_coverage=1.0), texts)


@pytest.fixture
def task(tokenizer: Tokenizer) -> RegressionTask:
    return Regression().build(tokenizer, ())


@pytest.fixture
def model(tokenizer: Tokenizer, task: RegressionTask) -> Transformer:
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_layers=1,
        num_heads=2,
        intermediate_size=32,
        dropout=Dropout(embedding=0.0, attention=0.0, residual=0.0),
        initializer_range=0.3,
        heads=(task.head.model_copy(update={"dropout": 0.0}),),
    )
    model = Transformer(config)
    initialize(model, 0)
    return model.double().eval()


def measure(task: RegressionTask, model: Transformer) -> dict[str, np.ndarray]:
    samples = task.encode(ROWS, "t.csv")
    with torch.inference_mode():
        parts = [task.measure(model, task.prepare([samples[number]], 0, 0)) for number in (2, 0, 4, 3, 1)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_numbers_are_learnt_in_standard_deviations_and_told_in_their_own_unit(
    task: RegressionTask, model: Transformer
) -> None:
    numbers = np.array([float(price) for price in PRICES])
    fitted = task.fit(ROWS, "t.csv")
    assert (fitted.center, fitted.scale) == pytest.approx((numbers.mean(), numbers.std()))
    samples = fitted.encode(ROWS, "t.csv")
    batch = fitted.prepare([samples[number] for number in range(5)], 0, 0)
    logits = model.heads["classification"](model.summarize(batch.packed))[:, 0]
    loss = fitted.loss(model, batch)
    wanted = torch.from_numpy((numbers - numbers.mean()) / numbers.std())
    torch.testing.assert_close(loss.sum, (logits[:4] - wanted).square().sum())
    assert loss.count == 4
    expected = numbers.mean() + numbers.std() * logits.detach().numpy()
    assert fitted.decode(measure(fitted, model), ()) == pytest.approx(expected.tolist(), rel=1e-12)
    assert fitted.answer(ROWS[0], 3.5) == {"text": ROWS[0].text, "number": 3.5}
    assert fitted.show(batch)[0].startswith("[250000] ") and fitted.show(batch)[4].startswith("[no number] ")


def test_a_folder_speaks_in_the_unit_of_the_file(task: RegressionTask, model: Transformer) -> None:
    """What is released, and read again by a task that only knows the facts, says and scores the same."""
    fitted = task.fit(ROWS, "t.csv")
    inside = measure(fitted, model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fitted.release(model)
    restored = task.restore(json.loads(json.dumps(fitted.facts)))
    outside = measure(restored, model)
    samples = restored.encode(ROWS, "t.csv")
    packed = restored.prepare([samples[0]], 0, 0).packed
    logit = model.heads["classification"](model.summarize(packed))[0, 0].item()
    assert logit == pytest.approx(restored.decode(outside, ())[0], rel=1e-12), (
        "transformers knows nothing but the logit"
    )
    assert abs(logit - fitted.decode(measure(fitted, model), ())[0]) > 1e5, "or the two units would be one"
    np.testing.assert_allclose(outside["prediction"], inside["prediction"], rtol=1e-10)
    for name, metric in fitted.score(inside, ()).items():
        assert restored.score(outside, ())[name].value == pytest.approx(metric.value, rel=1e-9), name
    fitted.receive(model)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name])


def test_figures_are_those_of_scipy(task: RegressionTask, model: Transformer) -> None:
    measured = measure(task.fit(ROWS, "t.csv"), model)
    known = measured["is_labelled"]
    metrics = task.fit(ROWS, "t.csv").score(measured, ())
    pair = measured["prediction"][known], measured["number"][known]
    assert metrics["pearson"].value == pytest.approx(pearsonr(*pair).statistic)
    assert metrics["spearman"].value == pytest.approx(spearmanr(*pair).statistic)
    assert metrics["rmse"].value == pytest.approx(np.sqrt(np.square(pair[0] - pair[1]).mean()))
    assert all(metric.count == 4 for metric in metrics.values())
    with pytest.raises(DataError, match="no row has a number"):
        task.score({name: values[~known] for name, values in measured.items()}, ())


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("many", r"t\.csv:7: is no number, got 'many'; write it with a dot"),
        ("1,250.00", "is no number"),
        ("1_000", "is no number"),
        ("nan", "is no finite number, got 'nan'"),
        ("-inf", "is no finite number"),
        ("1e999", "is no finite number"),
    ],
)
def test_what_is_no_number_is_refused_with_its_line(label: str, message: str, task: RegressionTask) -> None:
    with pytest.raises(DataError, match=message):
        task.encode([*ROWS, Example("x", None, label, 7)], "t.csv")


def test_numbers_that_are_all_the_same_teach_nothing(task: RegressionTask) -> None:
    same = [row._replace(label="0.1") for row in ROWS]
    with pytest.raises(DataError, match=r"holds one number alone, got \[0\.1\]"):
        task.fit(same, "t.csv")
    with pytest.raises(DataError, match="holds no number"):
        task.fit(ROWS[4:], "t.csv")
    with pytest.raises(DataError, match="several labels where one number is needed"):
        task.encode([Example("x", None, None, 3, ("1", "2"))], "t.csv")
