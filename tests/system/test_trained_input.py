"""What a trained model is given: files, standard input, pairs, settings; each taken as in training, or refused."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from groundup.checkpoint import pretrained
from groundup.errors import ConfigError, DataError
from groundup.verbs.evaluate import evaluate
from groundup.verbs.predict import predict, predict_stream
from groundup.verbs.train import train
from groundup.verbs.trained import Trained, load_trained

Make = Callable[..., dict]


@pytest.fixture
def classifier(make_recipe: Make) -> Trained:
    return load_trained(train(make_recipe("classification", train={"steps": 2}), quiet=True).folder)


@pytest.fixture
def masked(make_recipe: Make) -> Trained:
    recipe = make_recipe("masked", "masked", train={"steps": 2}, objective={"max_length": 16})
    return load_trained(train(recipe, quiet=True).folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.txt", "the cat\na dog\n"),
        ("rows.TXT", "the cat\na dog"),
        ("rows.tsv", "text\nthe cat\na dog\n"),
        ("rows.csv", "label,text\n,the cat\n,a dog\n"),  # labels not known yet
        ("rows.jsonl", '{"text": "the cat", "label": null}\n{"text": "a dog", "label": "none"}\n'),
        ("rows.ndjson", '{"text": "the cat"}\n{"text": "a dog"}\n'),
    ],
)
def test_rows_of_every_kind_of_file(classifier: Trained, tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert list(predict_stream(classifier, str(path))) == predict(classifier, ["the cat", "a dog"])


def test_a_file_of_unknown_kind_is_not_taken_for_a_text(classifier: Trained, tmp_path: Path) -> None:
    path = tmp_path / "rows.md"
    path.write_text("the cat\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"is a file of unknown kind, got '\.md'; rename it to one of \.txt"):
        list(predict_stream(classifier, str(path)))
    long = "the cat " * 2000 + "ends.here"  # too long for the name of a file
    assert len(list(predict_stream(classifier, long))) == 1


def test_standard_input_is_utf8(classifier: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def give(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))

    give("\ufeffthe cat\r\n我 看 书\n".encode())
    assert list(predict_stream(classifier, "-")) == predict(classifier, ["the cat", "我 看 书"])
    give(b"the cat\ncaf\xe9\n")
    with pytest.raises(DataError, match="standard input:2: is no UTF-8 text"):
        list(predict_stream(classifier, "-"))
    with pytest.raises(DataError, match="text: is no UTF-8 text"):
        predict(classifier, ["caf\udce9"])


def test_pairs_go_to_models_of_pairs_alone(classifier: Trained, masked: Trained) -> None:
    for trained in (classifier, masked):
        with pytest.raises(ConfigError, match="pair: the model learnt from single texts, got 'a dog'"):
            predict(trained, [("the [MASK]", "a dog")])
    assert classifier.recipe is not None
    data = classifier.recipe.data.model_copy(update={"pair": "other"})
    of_pairs = replace(classifier, recipe=classifier.recipe.model_copy(update={"data": data}))
    assert predict(of_pairs, [("the cat", "a dog")])
    with pytest.raises(ConfigError, match="pair: the model learnt from pairs of texts"):
        predict(of_pairs, ["the cat"])


def test_positions_that_were_never_trained_are_not_used(masked: Trained) -> None:
    assert predict(masked, ["the cat [MASK]"])
    with pytest.raises(DataError, match="longer than 16 tokens"):
        predict(masked, ["the cat " * 8 + "[MASK]"])


def test_an_override_that_changes_nothing_of_a_trained_model_is_refused(classifier: Trained, small_data: Path) -> None:
    for override in ("objective.average=macro", "seed=9", "train.steps=7", "data.train=other.tsv"):
        with pytest.raises(ConfigError, match=f"override {override.split('=')[0]}: changes nothing"):
            evaluate(classifier.folder, [override])
    path = small_data / "train.tsv"
    assert evaluate(classifier.folder, [f"data.validation={path}"]).data == str(path)


def test_an_evaluation_goes_by_the_precision_of_the_recipe(classifier: Trained) -> None:
    loss = evaluate(classifier.folder).metrics["loss"].value
    assert evaluate(classifier.folder, ["train.precision=bf16"]).metrics["loss"].value != loss


def test_a_folder_saved_without_a_recipe_predicts(classifier: Trained, tmp_path: Path) -> None:
    files, labels = classifier.tokenizer.files(), classifier.objective.labels
    pretrained.save(tmp_path / "bare", classifier.model, tokenizer_files=files, manifest={}, card="", labels=labels)
    assert predict(tmp_path / "bare", ["the cat"]) == predict(classifier, ["the cat"])


def test_an_evaluation_by_a_recipe_file_scores_on_what_stands_in_it(make_recipe: Make, small_data: Path) -> None:
    recipe, path = make_recipe("classification", train={"steps": 2}), small_data / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    train(path, quiet=True)
    assert evaluate(path).data == recipe["data"]["validation"]
    other = recipe["data"]["train"]
    path.write_text(json.dumps(recipe | {"data": recipe["data"] | {"validation": other}}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"data\.validation: is not what the run of this recipe was trained with"):
        evaluate(path)
    assert evaluate(path, [f"data.validation={other}"]).data == other
