"""What users hand in wrongly: one message in the project's form, exit code 2, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from safetensors.torch import load_file, save_file

from groundup.cli.main import main

Make = Callable[..., dict]
FORM = re.compile(r"error: [^:\n]+(:[^:\n]+)*: .+")
"""`error: <where>: <what is wrong>[, got <value>][; <cure>]`."""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process: fast, and no exception may escape it."""

    def start(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["groundup", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 1
        return Ended(code, *capfd.readouterr())

    return start


def write(recipe: Mapping, folder: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
    return path


def list_files(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if path.name != ".lock"
    }


def assert_refused(ended: Ended, pattern: str, *, where: str = "") -> None:
    assert ended.code == 2, ended
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert ended.err.count("error: ") == 1 and ended.err.endswith("\n"), ended.err
    message = ended.err[ended.err.index("error: ") :].rstrip("\n")
    assert FORM.match(message), message
    assert re.search(pattern, message, re.DOTALL), message
    assert message.removeprefix("error: ").startswith(where), message


def assert_only_prepared(left: set[str]) -> None:
    """What was finished before a fault was found is whole and of use: the tokenizer, the prepared text."""
    parts = ("run/tokenizer", "run/corpus/train", "run/corpus/validation")
    allowed = {"run", "run/recipe.json", "run/corpus"}
    assert all(name in allowed or name.startswith(parts) for name in left), left
    assert not any(name.endswith((".part", ".new")) or "/." in name for name in left), left


# A change of the recipe, how the message starts, what it must say.
SETTINGS = {
    "mistyped key": (
        {"optimizer": {"learning_rat": 1e-3}},
        r"optimizer\.learning_rat: unknown key.*did you mean 'learning_rate'",
    ),
    "mistyped section": ({"trian": {"steps": 3}}, r"trian: unknown key.*did you mean 'train'"),
    "mistyped kind": (
        {"model": {"kind": "transfomer"}},
        r"model\.kind: is no known kind, got 'transfomer'.*'transformer'",
    ),
    "missing kind": ({"model": {"kind": None}}, r"model\.kind"),
    "text for a number": ({"train": {"batch_size": "many"}}, r"train\.batch_size: must be an integer, got 'many'"),
    "true for a number": ({"train": {"steps": True}}, r"train\.steps: must be an integer, got True"),
    "point for a whole number": ({"train": {"steps": 10.5}}, r"train\.steps: must be an integer, got 10\.5"),
    "negative": ({"seed": -1}, r"seed: must be at least 0, got -1"),
    "out of range": ({"objective": {"rate": 1.5}}, r"objective\.rate: must be at most 1\.0 or a group of keys, got 1"),
    "steps and epochs": ({"train": {"epochs": 2}}, r"train\.steps: give exactly one of steps and epochs"),
    "neither steps nor epochs": ({"train": {"steps": None}}, r"train\.steps: give exactly one"),
    "shares that do not sum up": ({"objective": {"mask": 0.9}}, r"objective\.mask: .*sum to 1"),
    "objective of other data": (
        {"objective": {"kind": "classification", "max_length": 32}},
        r"objective: 'classification' learns from a table.*choose",
    ),
    "heads that do not divide": ({"model": {"num_heads": 5}}, r"model\.num_heads: must divide hidden_size 32, got 5"),
    "no tokenizer": ({"tokenizer": None}, r"tokenizer: a model from fresh weights has none.*give one"),
    "longer than the model": (
        {"objective": {"max_length": 64}},
        r"objective\.max_length: is more than the model's 48 positions, got 64; lower",
    ),
    "too short for text": ({"objective": {"max_length": 2}}, r"max_length: leaves .* beside the special"),
    "vocabulary too small": ({"tokenizer": {"vocab_size": 6}}, r"tokenizer\.vocab_size: cannot hold"),
    "model vocabulary too small": (
        {"model": {"vocab_size": 20}},
        r"model\.vocab_size: is smaller than the tokenizer's vocabulary of \d+, got 20; leave it out",
    ),
    "endless warm-up": ({"schedule": {"kind": "linear", "warmup": 12}}, r"schedule\.warmup: lasts as long as"),
    "validations of nothing": (
        {"data": {"validation": []}},
        r"train\.evaluate_every: there is no validation data, got 4; name data\.validation",
    ),
    "patience for nothing": (
        {"data": {"validation": []}, "train": {"evaluate_every": None, "patience": 2}},
        r"train\.patience: there is no validation data, got 2; name data\.validation",
    ),
    "threads without end": ({"train": {"threads": 10**6}}, r"train\.threads: must be at most 1024, got 1000000"),
    "vocabulary without end": (
        {"tokenizer": {"vocab_size": 10**10}},
        r"tokenizer\.vocab_size: must be at most 1048576",
    ),
    "layers without end": ({"model": {"num_layers": 10**9}}, r"model\.num_layers: must be at most 10000"),
    "weights without room": (
        {"model": {"hidden_size": 10**7}},
        r"model: \d+T weights take .* TB, and .* of memory are free; lower",
    ),
    "no such device": ({"train": {"device": "tpu"}}, r"train\.device: is no known choice, got 'tpu'"),
    "file that is not there": ({"data": {"train": ["/nowhere/text.txt"]}}, r"data\.train\.0: does not exist, got"),
    "glob that matches nothing": ({"data": {"train": ["/tmp/*.nothing"]}}, r"data\.train\.0: matches no file, got"),
    "variable that is not set": ({"data": {"train": ["${NOBODY_SET_IT}/a"]}}, r"NOBODY_SET_IT is not set.*export"),
    "no text at all": ({"data": {"train": []}}, r"data\.train: must be at least 1 long"),
}


@pytest.mark.parametrize("verb", ["check", "train"])
@pytest.mark.parametrize("case", SETTINGS)
def test_settings(run: Run, make_recipe: Make, small_data: Path, verb: str, case: str) -> None:
    changes, pattern = SETTINGS[case]
    path = write(make_recipe("masked", **changes), small_data)
    before = list_files(small_data)
    assert_refused(run(verb, path), pattern)
    left = {name for name in list_files(small_data) if name not in before}
    assert_only_prepared(left)
    if verb == "check":
        assert not left


def test_every_problem_is_named_at_once(run: Run, make_recipe: Make, small_data: Path) -> None:
    path = write(make_recipe("masked", seed="x", train={"stepz": 3}, model={"hidden_size": 0}), small_data)
    ended = run("check", path)
    assert_refused(ended, r"3 problems\n  seed: .*\n  model\.hidden_size: .*\n  train\.stepz: ", where=str(path))


@pytest.mark.parametrize(
    ("override", "pattern"),
    [
        ("steps", r"override: is not of the form key\.path=value, got 'steps'"),
        ("train.stepz=3", r"train\.stepz: unknown key.*'steps'"),
        ("seed.x=3", r"seed: is a value and holds no keys"),
        ("data.train.7=a", r"data\.train: is a list of 1, got '7'"),
        ("train.steps=1e-", r"train\.steps: must be an integer, got '1e-'"),
        ("train.batch_size=[", r"override train\.batch_size:1: is not valid YAML"),
    ],
)
def test_overrides(run: Run, make_recipe: Make, small_data: Path, override: str, pattern: str) -> None:
    assert_refused(run("check", write(make_recipe("masked"), small_data), override), pattern)


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        (b"", "is empty"),
        (b"\0\1\2", "recipe.yaml"),
        ("data: é".encode("latin-1"), "utf-8|UTF-8"),
        (b"data: [", "recipe.yaml"),
        (b"data: 1\ndata: 2\n", "the key 'data' stands here again"),
        (b"- a\n- b\n", "recipe.yaml"),
        (b"seed: 1\n\tx: 2\n", "tab"),
        (b"a: &x [*x]", "recipe.yaml"),
    ],
)
def test_recipes_that_are_none(run: Run, tmp_path: Path, content: bytes, pattern: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    assert_refused(run("train", path), pattern, where=str(path))


@pytest.mark.parametrize("verb", ["check", "train", "evaluate", "inspect", "predict", "data prepare", "data show"])
def test_recipe_that_is_not_there(run: Run, tmp_path: Path, verb: str) -> None:
    (tmp_path / "sst2.yaml").write_text("seed: 1")
    more = ["text"] if verb == "predict" else []
    assert_refused(run(*verb.split(), tmp_path / "sst.yaml", *more), "no such file.*sst2.yaml")


TABLES = {
    "empty": (b"", r"is empty"),
    "header alone": (b"text\tlabel\n", r"holds no row"),
    "binary": (b"text\tlabel\na\0b\t1\n", r":2\): is binary: byte 12 is 0x00; give a text file"),
    "latin-1": ("text\tlabel\ncaf\xe9 au lait\t1\n".encode("latin-1"), r":2\): is not utf-8.*encoding: latin-1"),
    "utf-16": ("text\tlabel\na\t1\n".encode("utf-16"), r"is in utf-16; convert it"),
    "gb18030": ("text\tlabel\n这家酒店的服务非常好\t1\n".encode("gb18030"), r":2\): is not utf-8.*encoding: gb18030"),
    "missing column": (
        b"sentence\tlabel\na b\t1\n",
        r"no column for `text`, got 'text'; .*columns are sentence, label",
    ),
    "mistyped column": (b"texts\tlabel\na b\t1\n", r"no column for `text`, got 'text'; did you mean 'texts'"),
    "missing label column": (b"text\tlabels\na b\t1\n", r"no column for `label`, got 'label'; did you mean 'labels'"),
    "ragged row": (b"text\tlabel\na b\t1\nc d\n", r":3\): has 1 field where the header has 2"),
    "too many fields": (b"text\tlabel\na b\t1\nc\td\t1\n", r":3\): has 3 fields where the header has 2"),
    "missing label": (b"text\tlabel\na b\t1\nc d\t\n", r":3\): the label in column 'label' is missing"),
    "empty text": (b"text\tlabel\na b\t1\n \t2\n", r":3\): the text in column 'text' is empty"),
    "one label": (b"text\tlabel\na b\t1\nc d\t1\n", r"holds a single label, got .*'1'"),
    "column twice": (b"text\ttext\tlabel\na\tb\t1\n", r":1\): names the column 'text' twice"),
}


@pytest.mark.parametrize("verb", ["check", "train"])
@pytest.mark.parametrize("case", TABLES)
def test_tables(run: Run, make_recipe: Make, small_data: Path, verb: str, case: str) -> None:
    content, pattern = TABLES[case]
    (small_data / "train.tsv").write_bytes(content)
    path = write(make_recipe("classification"), small_data)
    before = list_files(small_data)
    assert_refused(run(verb, path), pattern, where="data.train")
    left = {name for name in list_files(small_data) if name not in before}
    assert_only_prepared(left)


def test_an_unseen_label_in_validation(run: Run, make_recipe: Make, small_data: Path) -> None:
    (small_data / "dev.tsv").write_text("text\tlabel\na cat\tcat\na dog\tnon\n", encoding="utf-8")
    path = write(make_recipe("classification"), small_data)
    for verb in ("check", "train"):
        pattern = r"data\.validation.*:3.*label unseen in training, got 'non'; did you mean 'none'\?"
        assert_refused(run(verb, path), pattern)
    assert not (small_data / "run").exists(), "a tokenizer that stayed would not know the words of the mended files"


def test_several_broken_files_are_named_together(run: Run, make_recipe: Make, small_data: Path) -> None:
    (small_data / "train.tsv").write_bytes(b"")
    (small_data / "dev.tsv").unlink()
    ended = run("check", write(make_recipe("classification"), small_data))
    assert_refused(ended, r"2 problems with the data\n  data\.train .*is empty.*\n  data\.validation .*does not exist")


TEXTS = {
    "empty": (b"", r"is empty"),
    "blank": (b"\n \n\n", r"holds no text|found no word"),
    "binary": (b"a b\0c\n" * 20, r":1\): is binary"),
    "latin-1": ("un café noir\n".encode("latin-1") * 20, r":1\): is not utf-8.*encoding: latin-1"),
    "too little": (b"a b\n", r"holds no document of 8 tokens or more; lower data\.min_length|vocab_size"),
}


@pytest.mark.parametrize("verb", ["check", "train", "data prepare"])
@pytest.mark.parametrize("case", TEXTS)
def test_texts(run: Run, make_recipe: Make, small_data: Path, verb: str, case: str) -> None:
    content, pattern = TEXTS[case]
    (small_data / "text.txt").write_bytes(content)
    assert_refused(run(*verb.split(), write(make_recipe("masked"), small_data)), pattern)
    assert not (small_data / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("verb", "kind"), [("train", "masked"), ("data prepare", "masked"), ("train", "classification")]
)
def test_a_missing_file_is_told_of_before_anything_is_prepared(
    run: Run, make_recipe: Make, small_data: Path, verb: str, kind: str
) -> None:
    nowhere = str(small_data / "nowhere.tsv")
    path = write(make_recipe(kind, data={"validation": [nowhere] if kind == "masked" else nowhere}), small_data)
    before = list_files(small_data)
    assert_refused(run(*verb.split(), path), r"does not exist", where="data.validation")
    assert list_files(small_data) == before


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
def test_marks_and_line_endings_change_nothing(
    run: Run, make_recipe: Make, small_data: Path, mark: bytes, ending: bytes
) -> None:
    for name in ("train.tsv", "dev.tsv"):
        content = (small_data / name).read_bytes()
        (small_data / name).write_bytes(mark + content.replace(b"\n", ending))
    ended = run("check", write(make_recipe("classification"), small_data), "--json")
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    assert report["labels"] == ["cat", "none"] and [split["count"] for split in report["splits"]] == [160, 40]


def test_a_tokenizer_of_another_vocabulary(run: Run, make_recipe: Make, small_data: Path) -> None:
    small = make_recipe("masked", tokenizer={"vocab_size": 80}, train={"steps": 1})
    assert run("train", write(small, small_data), "--quiet").code == 0
    big = make_recipe("masked", "big", tokenizer={"vocab_size": 400}, train={"steps": 1})
    assert run("train", write(big, small_data), "--quiet").code == 0
    recipe = make_recipe(
        "classification", "fine", tokenizer={"kind": "pretrained", "path": str(small_data / "big" / "model")}
    )
    del recipe["tokenizer"]["vocab_size"], recipe["tokenizer"]["min_frequency"]
    recipe["model"] = {"kind": "pretrained", "path": str(small_data / "run" / "model")}
    path = write(recipe, small_data)
    before = list_files(small_data)
    for verb in ("check", "train"):
        assert_refused(run(verb, path), r"tokenizer: has \d+ entries, more than the model's \d+ embeddings; use")
    assert list_files(small_data) == before


@pytest.fixture
def trained(run: Run, make_recipe: Make, small_data: Path) -> Path:
    """A recipe whose run is finished, with checkpoints of its last two steps."""
    recipe = make_recipe("masked", train={"steps": 4, "evaluate_every": 2})
    path = write(recipe, small_data)
    assert run("train", path, "--quiet").code == 0
    return path


def test_a_run_folder_of_another_recipe(run: Run, trained: Path) -> None:
    before = list_files(trained.parent)
    for verb in ("check", "train", "data prepare"):
        ended = run(*verb.split(), trained, "seed=6", "optimizer.learning_rate=1e-4")
        assert_refused(ended, r"another recipe, which differs in optimizer\.learning_rate, seed; choose another output")
    assert list_files(trained.parent) == before


def test_a_recipe_may_change_before_its_run_has_started(run: Run, make_recipe: Make, small_data: Path) -> None:
    path = write(make_recipe("masked"), small_data)
    assert run("data", "prepare", path).code == 0
    assert run("check", path, "optimizer.learning_rate=1e-4").code == 0
    assert_refused(
        run("train", path, "tokenizer.vocab_size=90"), r"another recipe, which differs in tokenizer\.vocab_size"
    )
    assert run("train", path, "optimizer.learning_rate=1e-4", "train.steps=1", "--quiet").code == 0
    saved = json.loads((small_data / "run" / "recipe.json").read_text())
    assert saved["optimizer"]["learning_rate"] == 1e-4


def test_a_file_in_the_place_of_the_run_folder(run: Run, make_recipe: Make, small_data: Path) -> None:
    (small_data / "run").write_text("not a folder")
    path = write(make_recipe("masked"), small_data)
    deeper = write(make_recipe("masked", "run/deeper"), small_data)
    before = list_files(small_data)
    for verb in ("check", "train", "data prepare"):
        for recipe in (path, deeper):
            assert_refused(run(*verb.split(), recipe), r"output: cannot be (made|written)")
    assert list_files(small_data) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(run: Run, make_recipe: Make, small_data: Path) -> None:
    home = small_data / "home"
    home.mkdir(mode=0o500)
    path = write(make_recipe("masked", "home/run"), small_data)
    for verb in ("check", "train"):
        assert_refused(run(verb, path), r"output: cannot be (made|written)")


def damage_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


def damage_length(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def damage_header(path: Path) -> None:
    path.write_bytes(b"\xff\xff\xff\xff\xff\xff\xff\x7f" + path.read_bytes()[8:])


def add_tensor(path: Path) -> None:
    tensors = load_file(path)
    save_file({**tensors, "one.too.many": next(iter(tensors.values())).clone()}, path)


def drop_tensor(path: Path) -> None:
    tensors = load_file(path)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, path)


DAMAGES = (damage_bit, damage_length, damage_header, add_tensor, drop_tensor, Path.unlink)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint(run: Run, trained: Path, damage: Callable[[Path], None]) -> None:
    checkpoints = trained.parent / "run" / "checkpoints"
    damage(checkpoints / "step-4" / "tensors.safetensors")
    shutil.rmtree(trained.parent / "run" / "model")
    before = list_files(trained.parent)
    for verb in ("check", "train"):
        assert_refused(run(verb, trained), r"step-4/tensors\.safetensors.*step 2 is good")
    assert list_files(trained.parent) == before
    seen = run("inspect", trained.parent / "run")
    assert seen.code == 0 and re.search(r"step 4 .*damaged", seen.out) and re.search(r"step 2 .*intact", seen.out)
    shutil.rmtree(checkpoints / "step-4")
    assert run("train", trained, "--quiet").code == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model(run: Run, trained: Path, damage: Callable[[Path], None]) -> None:
    model = trained.parent / "run" / "model"
    damage(model / "model.safetensors")
    for arguments in (["inspect", model], ["evaluate", trained.parent / "run"], ["predict", model, "a [MASK] cat"]):
        assert_refused(run(*arguments), r"model\.safetensors")


def test_a_damaged_recipe_of_a_run(run: Run, trained: Path) -> None:
    path = trained.parent / "run" / "recipe.json"
    path.write_text(path.read_text()[:40])
    for arguments in (["train", trained], ["check", trained], ["inspect", trained.parent / "run"]):
        assert_refused(run(*arguments), r"recipe\.json: is damaged")


def test_a_recipe_of_a_run_that_may_not_be_read_is_not_called_damaged(run: Run, trained: Path) -> None:
    path = trained.parent / "run" / "recipe.json"
    path.unlink()
    path.mkdir()  # what even the administrator cannot read as a file
    assert_refused(run("check", trained), r"recipe\.json: cannot be read: Is a directory; check its permissions")


@pytest.mark.parametrize("verb", ["inspect", "evaluate", "predict"])
def test_targets_that_are_nothing(run: Run, tmp_path: Path, verb: str) -> None:
    more = ["text"] if verb == "predict" else []
    assert_refused(run(verb, tmp_path / "nothing" / "there", *more), "no such folder")
    (tmp_path / "empty").mkdir()
    assert_refused(run(verb, tmp_path / "empty", *more), r"config\.json")


def test_a_run_without_a_model(run: Run, trained: Path) -> None:
    shutil.rmtree(trained.parent / "run" / "model")
    for arguments in (["evaluate", trained], ["predict", trained.parent / "run", "a"]):
        assert_refused(run(*arguments), "holds no trained model yet")


def test_predict_from_files_that_do_not_fit(run: Run, trained: Path, tmp_path: Path) -> None:
    model = trained.parent / "run" / "model"
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "binary.txt").write_bytes(b"a\0b\n")
    (tmp_path / "ragged.csv").write_text("text,label\na,1,2\n")
    (tmp_path / "broken.jsonl").write_text('{"text": \n')
    cases = {
        "nothing.csv": "no file",
        "empty.txt": "is empty",
        "binary.txt": "is binary",
        "ragged.csv": "has 3 fields",
        "broken.jsonl": "is not JSON",
    }
    for name, pattern in cases.items():
        assert_refused(run("predict", model, tmp_path / name), pattern)


def test_masked_models_want_a_mask(run: Run, trained: Path) -> None:
    assert_refused(run("predict", trained.parent / "run", "a cat"), r"holds no mask token.*write \[MASK\]")


def test_writing_wants_a_decoder(run: Run, trained: Path) -> None:
    assert_refused(run("generate", trained.parent / "run", "a cat"), "cannot write: it is no decoder, got 'masked'")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--beams", "3", "--temperature", "0.7"], "num_beams: a search draws nothing, got 3 with temperature 0.7"),
        (["--temperature", "1", "--min-p", "1.5"], "min_p: "),
        (["--min-p", "0.1"], "min_p: does nothing at temperature 0"),
        (["--repetition-penalty", "0"], "repetition_penalty: "),
        (["--length-penalty", "2"], "length_penalty: does nothing without beams, got 2.0; set num_beams"),
        (["--beams", "2", "--early-stopping", "maybe"], "early_stopping: "),
        (["--count", "3"], "num_return: num_beams gives 1 and temperature 0 no more, got 3"),
    ],
)
def test_ways_to_write_that_do_not_go_together(run: Run, tmp_path: Path, options: list[str], says: str) -> None:
    assert_refused(run("generate", tmp_path / "no-model-is-looked-for", "a", *options), says)


def test_show_of_a_step_that_is_never_taken(run: Run, make_recipe: Make, small_data: Path) -> None:
    path = write(make_recipe("classification"), small_data)
    assert_refused(run("data", "show", path, "--step", 12), r"step: is not one of the run's steps 0 to 11, got 12")


def test_a_table_is_not_prepared(run: Run, make_recipe: Make, small_data: Path) -> None:
    path = write(make_recipe("classification"), small_data)
    assert_refused(run("data", "prepare", path), r"data\.kind: only a corpus is prepared, got 'table'")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trian", "x.yaml"], "'trian'. Did you mean 'train'?"),
        (["data", "shwo", "x.yaml"], "Did you mean 'show'?"),
        (["train"], "Missing argument 'RECIPE'"),
        (["check", "--fast", "x.yaml"], "No such option: --fast"),
        (["data", "show", "x.yaml", "--count", "0"], "--count"),
    ],
)
def test_usage(run: Run, arguments: list[str], says: str) -> None:
    ended = run(*arguments)
    assert ended.code == 2 and ended.out == ""
    assert "Traceback" not in ended.err and says in ended.err and "--help" in ended.err


@pytest.mark.parametrize(
    ("verb", "says"),
    [("check", "mistyped.*unknown key"), ("train", "mistyped.*unknown key"), ("inspect", "unknown key")],
)
def test_the_real_command(make_recipe: Make, small_data: Path, verb: str, says: str) -> None:
    path = write(make_recipe("masked", mistyped=1), small_data)
    command = [sys.executable, "-m", "groundup", verb, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert_refused(Ended(ended.returncode, ended.stdout, ended.stderr), says)
