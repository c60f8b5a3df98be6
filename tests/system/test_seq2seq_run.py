"""An encoder-decoder learns to translate: check, train, evaluate, predict, generate and report on one table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from groundup.checkpoint import pretrained
from groundup.cli.main import app
from groundup.decoding.config import Decoding
from groundup.errors import ConfigError, GroundupError
from groundup.recipe import Recipe
from groundup.verbs.check import check
from groundup.verbs.design import inspect_design
from groundup.verbs.evaluate import evaluate
from groundup.verbs.generate import generate, stream
from groundup.verbs.predict import predict
from groundup.verbs.show import show
from groundup.verbs.train import train

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ZAHLEN = ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]


def write_table(path: Path, count: int) -> str:
    """Numbers of three figures in words, English and German."""
    lines = ["en\tde"]
    for number in range(count):
        figures = [int(figure) for figure in f"{number * 367 % 1000:03}"]
        lines.append(" ".join(NUMBERS[each] for each in figures) + "\t" + " ".join(ZAHLEN[each] for each in figures))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def make_recipe(folder: Path, **values: object) -> dict[str, object]:
    model = {
        "hidden_size": 48,
        "num_layers": 1,
        "num_heads": 4,
        "intermediate_size": 96,
        "max_length": 16,
        "num_token_types": 0,
        "causal": True,
        "encoder": {"num_layers": 2},
        "position": {"kind": "sinusoidal"},
        "norm_places": ["residual"],
        "dropout": {"embedding": 0.0, "attention": 0.0, "residual": 0.0},
        "initializer_range": 0.1,
    }
    return {
        "output": str(folder / "run"),
        "tokenizer": {"kind": "wordpiece", "vocab_size": 120, "min_frequency": 1},
        "data": {
            "kind": "table",
            "train": write_table(folder / "train.tsv", 240),
            "validation": write_table(folder / "validation.tsv", 20),
            "text": "en",
            "pair": "de",
        },
        "model": {"kind": "transformer", **model},
        "objective": {"kind": "seq2seq", "max_length": 12, "label_smoothing": 0.05},
        "optimizer": {"kind": "adamw", "learning_rate": 0.006},
        "train": {"steps": 160, "batch_size": 30, "device": "cpu"},
        **values,
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seq2seq")
    report = train(make_recipe(folder), quiet=True)
    assert report.is_finished
    return report.folder


def test_check_counts_both_sides(tmp_path: Path) -> None:
    report = check(make_recipe(tmp_path))
    assert report.objective == "seq2seq"
    assert report.step.tokens > report.step.targets > 0
    assert abs(report.step.loss - report.step.expected_loss) < 1.5
    assert {"encoder", "cross_attention"} <= report.design.parameters.keys()
    assert "encoder" in str(report)
    cut = check(make_recipe(tmp_path), ["objective.max_length=3"])
    assert cut.lengths.num_cut == 240
    assert not (tmp_path / "run").exists()


def test_a_translation_is_learnt_and_written(run: Path) -> None:
    scores = evaluate(run).metrics
    assert scores["loss"].value < 0.2
    assert scores["accuracy"].value > 0.95
    sources = [" ".join(NUMBERS[int(each)] for each in figures) for figures in ("367", "734", "101", "468")]
    expected = [" ".join(ZAHLEN[int(each)] for each in figures) for figures in ("367", "734", "101", "468")]
    answers = generate(run, sources)
    assert [each.text for each in answers] == expected
    assert {each.reason for each in answers} == {"end"}
    assert [row["completion"] for row in predict(run, sources)] == expected
    assert "".join(piece.text for piece in stream(run, sources[0])) == expected[0]
    beams = generate(run, sources, Decoding(num_beams=3))
    assert [each.text for each in beams] == expected
    drawn = generate(run, sources, Decoding(temperature=3.0, seed=1))
    assert [each.text for each in drawn] != expected


def test_the_command_shows_the_answer_alone(run: Path) -> None:
    for options in ((), ("--beams", "2")):
        result = CliRunner().invoke(app, ["generate", str(run), "three six seven", *options])
        assert result.output == "drei sechs sieben\n", "what it reads is in another language, and not a part of it"


def test_the_folder_says_what_targets_start_with(run: Path) -> None:
    folder = run / "model"
    content = json.loads((folder / "config.json").read_text())
    ends = json.loads((folder / "tokenizer_config.json").read_text())
    tokens = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    assert content["decoder_start_token_id"] == pretrained.read_start(folder) == tokens[ends["cls_token"]]
    assert content["eos_token_id"] == tokens[ends["sep_token"]]
    (folder / "generation_config.json").write_text('{"decoder_start_token_id": 7}')
    assert pretrained.read_start(folder) == 7, "the newer file overrules the older"
    (folder / "generation_config.json").write_text('{"decoder_start_token_id": "</s>"}')
    with pytest.raises(ConfigError, match="decoder_start_token_id: must be a token's id, got '</s>'"):
        pretrained.read_start(folder)
    (folder / "generation_config.json").unlink()


def test_a_folder_without_its_recipe_writes_the_same(run: Path, tmp_path: Path) -> None:
    """As one from elsewhere: what targets start with stands in its config.json."""
    bare = tmp_path / "bare"
    shutil.copytree(run / "model", bare, ignore=shutil.ignore_patterns("groundup.json"))
    sources = ["three six seven", "one zero one"]
    expected = [each.text for each in generate(run, sources)]
    assert [each.text for each in generate(bare, sources)] == expected
    content = json.loads((bare / "config.json").read_text())
    (bare / "config.json").write_text(json.dumps(content | {"decoder_start_token_id": 9}))
    assert [each.text for each in generate(bare, sources)] != expected


def test_a_trained_model_is_trained_on_with_its_own_start(run: Path, tmp_path: Path) -> None:
    values = make_recipe(tmp_path, model={"kind": "pretrained", "path": str(run)}, tokenizer=None)
    values["train"] = {"steps": 1, "batch_size": 20, "device": "cpu"}
    values["optimizer"] = {"kind": "adamw", "learning_rate": 1e-5}
    report = train(values, quiet=True)
    assert evaluate(report.folder).metrics["loss"].value < 0.25
    assert pretrained.read_start(report.folder / "model") == pretrained.read_start(run / "model")


def test_the_report_and_the_desk_know_encoder_decoders(run: Path, tmp_path: Path) -> None:
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "Sequence to sequence" in html
    assert "drei" in html
    content = json.loads((run / "report.json").read_text())
    assert content["writing"]["exact_rows"] > 0.8 * content["writing"]["rows"]
    assert "encoder" in str(inspect_design(str(run / "model")))
    shown = str(show(make_recipe(tmp_path)))
    assert "⇒" in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["data.pair=null"], r"data\.pair: 'seq2seq' learns from pairs, got null"),
        (["model.encoder=null"], r"model\.encoder: the objective 'seq2seq' needs one that reads the source"),
        (["model.causal=false"], r"encoder: goes with a decoder, got causal False"),
        (["objective.max_target_length=17"], r"objective\.max_target_length: is more than the model's 16 positions"),
        (["objective.kind=causal", "objective.label_smoothing=null"], "label_smoothing"),
        (["objective.start=<go>"], r"objective\.start: is no token of the tokenizer, got '<go>'"),
    ],
)
def test_bad_input_is_one_clear_error(change: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(GroundupError, match=message):
        check(make_recipe(tmp_path), change)


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_other_objectives_refuse_an_encoder_decoder(kind: str, tmp_path: Path) -> None:
    values = make_recipe(tmp_path, objective={"kind": kind, "max_length": 12})
    values["data"] = {**values["data"], "pair": None} if kind == "causal" else {"kind": "corpus", "train": ["x.txt"]}
    with pytest.raises(ConfigError, match=rf"model\.encoder: the objective '{kind}' gives it nothing to read"):
        Recipe.from_values(values)


def test_a_slice_of_multi30k_is_learnt(data_folder: Path, tmp_path: Path) -> None:
    """Captions in English and German: in some steps the loss falls far below that of guessing."""
    for split, count in (("train", 400), ("val", 60)):
        sides = [
            (data_folder / "multi30k" / f"{split}.{side}").read_text(encoding="utf-8").splitlines()[:count]
            for side in ("en", "de")
        ]
        rows = [json.dumps({"en": en, "de": de}, ensure_ascii=False) for en, de in zip(*sides, strict=True)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    values = make_recipe(tmp_path)
    values["data"] = {
        "kind": "table",
        "train": str(tmp_path / "train.jsonl"),
        "validation": str(tmp_path / "val.jsonl"),
        "text": "en",
        "pair": "de",
    }
    values["tokenizer"] = {"kind": "wordpiece", "vocab_size": 1200}
    values["model"] = {**values["model"], "max_length": 48}
    values["objective"] = {"kind": "seq2seq", "max_length": 48, "label_smoothing": 0.1}
    values["optimizer"] = {"kind": "adamw", "learning_rate": 0.01}
    values["train"] = {"steps": 60, "batch_size": 40, "device": "cpu"}
    report = train(values, quiet=True)
    scores = evaluate(report.folder).metrics
    assert scores["perplexity"].value < 300
    assert scores["accuracy"].value > 0.1
    answers = generate(report.folder, ["A man in a blue shirt is standing on a ladder."], Decoding(max_tokens=20))
    assert answers[0].text.startswith(("Ein", "ein"))
