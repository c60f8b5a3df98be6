"""Settings: strict values, overrides by dotted path, and errors that name the path, the value and the cure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, PositiveInt, model_validator

from groundup.config import Config, apply_overrides, expand_path, field_help, parse, parse_yaml, to_json
from groundup.errors import ConfigError
from groundup.model.config import ModelConfig


class Adam(Config):
    """One optimizer."""

    kind: Literal["adam"] = "adam"
    learning_rate: float = Field(1e-3, gt=0.0)
    """The step's size."""
    betas: tuple[float, float] = (0.9, 0.999)
    """How fast the two averages forget."""


class Momentum(Config):
    """Another optimizer."""

    kind: Literal["momentum"] = "momentum"
    learning_rate: float = 1e-2
    """The step's size."""
    momentum: float = 0.9
    """How much of the last step stays."""


class Layer(Config):
    """One layer."""

    size: PositiveInt = 4
    """Its width."""
    name: str = "layer"
    """What it is called."""


class Pair(Config):
    """Two numbers in order."""

    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low: must be at most high {self.high}, got {self.low}")
        return self


class Settings(Config):
    """The whole."""

    steps: PositiveInt
    """How many steps to train."""
    optimizer: Annotated[Adam | Momentum, Field(discriminator="kind")] = Adam()
    """What makes the steps."""
    layers: tuple[Layer, ...] = ()
    """From bottom to top."""
    pair: Pair = Pair()
    """A range."""
    warmup: Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0.0, lt=1.0)] = 0
    """Steps, or a part of all steps."""
    files: str | tuple[str, ...] = ()
    """One file or several."""
    shuffle: bool = True
    """Whether the order changes."""
    folder: Path | None = None
    """Where results go."""
    labels: dict[str, int] = Field(default_factory=dict)
    """Numbers of labels."""
    color: Literal["red", "green"] = "red"
    """A color."""


def read(text: str, *overrides: str) -> Settings:
    return parse(Settings, apply_overrides(parse_yaml(text, "r.yaml"), overrides), where="r.yaml")


def complaint(text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, *overrides)
    return str(caught.value)


def test_values_arrive_as_they_were_meant() -> None:
    settings = read(
        "steps: 1_000\noptimizer: {kind: momentum, learning_rate: 1e-4}\nlayers: [{size: 3}]\nfolder: a/b\n"
        "warmup: 0.1\nfiles: [x, y]\nlabels: {0: 0, 1: 1}\nshuffle: false"
    )
    assert settings.steps == 1000
    assert settings.optimizer == Momentum(learning_rate=1e-4)
    assert settings.layers == (Layer(size=3),)
    assert settings.folder == Path("a/b")
    assert settings.warmup == 0.1 and settings.files == ("x", "y") and settings.labels == {"0": 0, "1": 1}
    assert settings.shuffle is False


def test_settings_are_frozen_and_round_trip() -> None:
    settings = read("steps: 3\nlayers: [{size: 3}, {}]\nfolder: x\noptimizer: {kind: adam, betas: [0.5, 0.6]}")
    assert parse(Settings, to_json(settings)) == settings
    with pytest.raises(ValueError, match="frozen"):
        settings.steps = 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz: 3\nsteps: 1", "r.yaml: stepz: unknown key, got 3; did you mean 'steps'?"),
        ("Steps: 3\nsteps: 1", "r.yaml: Steps: unknown key, got 3; did you mean 'steps'?"),
        ("steps: 1\nlearning-rate: 3", "unknown key, got 3; did you mean 'optimizer.learning_rate'?"),
        (
            "steps: 1\noptimizer: {kind: adam, momentum: 3}",
            "optimizer.momentum: unknown key, got 3; it belongs to another kind",
        ),
        ("steps: 1\npair: {zzzzz: 3}", "r.yaml: pair.zzzzz: unknown key, got 3; known keys: low, high"),
        ("shuffle: true", "r.yaml: steps: is missing; How many steps to train."),
        ("steps: true", "r.yaml: steps: must be an integer, got True"),
        ("steps: '3'", "r.yaml: steps: must be an integer, got '3'; write 3"),
        ("steps: 1e5", "r.yaml: steps: must be an integer, got 100000.0; write 100000"),
        ("steps: 100,000", "r.yaml: steps: must be an integer, got '100,000'; write 100000"),
        ("steps: 0", "r.yaml: steps: must be greater than 0, got 0"),
        ("steps:", "r.yaml: steps: must be an integer, got None; give it a value, or leave the line out"),
        ("steps: 1\nshuffle: no", "r.yaml: shuffle: must be true or false, got 'no'; write false"),
        ("steps: 1\nshuffle: 1", "r.yaml: shuffle: must be true or false, got 1; write true"),
        ("steps: 1\nlayers: [{name: 7}]", "r.yaml: layers.0.name: must be a text, got 7; put it in quotes"),
        ("steps: 1\nlayers: {size: 3}", "r.yaml: layers: must be a list, got {'size': 3}"),
        ("steps: 1\nlabels: {a: x}", "r.yaml: labels.a: must be an integer, got 'x'"),
        (
            "steps: 1\ncolor: gren",
            "color: is no known choice, got 'gren'; did you mean 'green'? choose one of red, green",
        ),
        (
            "steps: 1\noptimizer: {kind: adam, learning_rat: 1}",
            "optimizer.learning_rat: unknown key, got 1; did you mean",
        ),
        (
            "steps: 1\noptimizer: {kind: adm}",
            "r.yaml: optimizer.kind: is no known kind, got 'adm'; did you mean 'adam'?",
        ),
        ("steps: 1\noptimizer: {learning_rate: 1.0}", "optimizer.kind: is missing; choose one of adam, momentum"),
        ("steps: 1\noptimizer: adam", "r.yaml: optimizer: must be a group of keys, got 'adam'; write {kind: adam}"),
        ("steps: 1\noptimizer: {kind: adam, learning_rate: .nan}", "learning_rate: must be a finite number, got nan"),
        ("steps: 1\noptimizer: {kind: adam, learning_rate: 1e999}", "learning_rate: must be a finite number, got inf"),
        ("steps: 1\npair: {low: 5}", "r.yaml: pair.low: must be at most high 1, got 5"),
        ("steps: 1\nwarmup: x", "r.yaml: warmup: must be an integer or a number, got 'x'"),
        ("steps: 1\nwarmup: -1", "r.yaml: warmup: must be at least 0"),
        ("steps: 1\nfiles: [1]", "r.yaml: files.0: must be a text, got 1; put it in quotes"),
    ],
)
def test_a_problem_is_named_with_its_path_and_cure(text: str, message: str) -> None:
    found = complaint(text)
    assert message in found
    assert "\n" not in found


def test_all_problems_are_listed_one_a_line() -> None:
    lines = complaint("stepz: 1\npair: {low: 5}\noptimizer: {kind: adam, betas: [1]}\nwarmup: x").split("\n")
    assert lines[0] == "r.yaml: 5 problems"
    assert sorted(line.strip().split(":")[0] for line in lines[1:]) == [
        "optimizer.betas.1",
        "pair.low",
        "steps",
        "stepz",
        "warmup",
    ]


def test_an_error_of_a_real_design_carries_no_union_tags() -> None:
    data = {"vocab_size": 9, "heads": [{"kind": "token", "num_labels": 0}], "position": {"kind": "rotary", "bas": 2}}
    with pytest.raises(ConfigError) as caught:
        parse(ModelConfig, data)
    assert str(caught.value).split("\n") == [
        "ModelConfig: 2 problems",
        "  position.bas: unknown key, got 2; did you mean 'base'?",
        "  heads.0.num_labels: must be greater than 0, got 0",
    ]


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ConfigError, match="no UTF-8 text"):
        parse(Settings, {"steps": 1, "files": "a\udcff"})


def test_overrides_apply_in_order_to_a_copy() -> None:
    data = {"steps": 1, "layers": [{"size": 1}, {"size": 2}], "optimizer": None}
    changed = apply_overrides(data, ["steps=2", "steps=3", "layers.1.size=9", "optimizer.kind=adam", "new.a.b=[x, 1]"])
    assert changed == {
        "steps": 3,
        "layers": [{"size": 1}, {"size": 9}],
        "optimizer": {"kind": "adam"},
        "new": {"a": {"b": ["x", 1]}},
    }
    assert data == {"steps": 1, "layers": [{"size": 1}, {"size": 2}], "optimizer": None}


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("x=1e-4", 1e-4),
        ("x=no", "no"),
        ("x=true", True),
        ("x=", None),
        ("x=a=b", "a=b"),
        ("x=*.txt", "*.txt"),
        ("x='1'", "1"),
        ("x={kind: a}", {"kind": "a"}),
        ("x= 3 ", 3),
        (" x =3", 3),
        ("x=数据/训练.txt", "数据/训练.txt"),
    ],
)
def test_an_override_is_read_as_yaml(override: str, value: object) -> None:
    assert apply_overrides({}, [override]) == {"x": value}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps", "override: is not of the form key.path=value, got 'steps'; for example"),
        ("steps: 4", "override: is not of the form key.path=value, got 'steps: 4'; write steps=4"),
        ("=4", "is not of the form key.path=value"),
        ("a..b=4", "is not of the form key.path=value"),
        ("steps.x=4", "steps: is a value and holds no keys, got 1; write steps={x: ...}"),
        ("layers.7.size=4", "layers: is a list of 1, got '7'; number its items 0 to 0, or write layers=[...]"),
        ("layers.size=4", "layers: is a list of 1, got 'size'"),
        ("layers.-1.size=4", "layers: is a list of 1, got '-1'"),
        ("steps=[1", "override steps:1: is not valid YAML"),
        ("optimizer.learning_rat=4", "optimizer.learning_rat: unknown key, got 4; did you mean 'learning_rate'?"),
    ],
)
def test_a_wrong_override_is_explained(override: str, message: str) -> None:
    assert message in complaint("steps: 1\nlayers: [{size: 1}]\noptimizer: {kind: adam}", override)


@given(
    st.recursive(st.integers() | st.text(max_size=3), lambda inner: st.dictionaries(st.text("abc", max_size=2), inner))
)
def test_no_data_makes_parse_fail_in_another_way(data: object) -> None:
    try:
        parse(Settings, {"steps": 1, "pair": data, "layers": data, "files": data, "optimizer": data})
    except ConfigError as error:
        assert "problem" in str(error) or ": " in str(error)


def test_paths_expand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MY_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", "/home/someone")
    assert expand_path("${MY_DATA}/a.csv", "data.train") == tmp_path / "a.csv"
    assert expand_path("~/a.csv", "data.train") == Path("/home/someone/a.csv")
    assert expand_path("plain/路径.csv", "data.train") == Path("plain/路径.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NOT_SET_HERE}/a", r"data.train: the environment variable NOT_SET_HERE is not set, .*export NOT_SET_HERE="),
        ("${EMPTY_HERE}/a", "EMPTY_HERE is not set"),
        ("$HOME/a", r"data.train: a variable needs braces, .*write \$\{HOME\}"),
        ("", "is no path"),
        ("a\0b", "is no path"),
        ("~nobody-of-this-name/a", "home folder of nobody"),
    ],
)
def test_a_path_that_cannot_expand_is_explained(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    monkeypatch.setenv("EMPTY_HERE", "")
    with pytest.raises(ConfigError, match=message):
        expand_path(text, "data.train")


def test_help_lists_every_field_with_type_default_and_docstring() -> None:
    help_of = {entry.path: entry for entry in field_help(Settings)}
    assert help_of["steps"] == ("steps", "integer", "required", "How many steps to train.")
    assert help_of["optimizer"].type == "one of {kind: adam}, {kind: momentum}"
    assert help_of["optimizer[momentum].momentum"].default == "0.9"
    assert help_of["optimizer[adam].betas"].type == "list of number"
    assert help_of["layers.0.size"].doc == "Its width."
    assert help_of["warmup"].type == "integer or number"
    assert help_of["files"].type == "text or list of text"
    assert help_of["folder"] == ("folder", "path or null", "null", "Where results go.")
    assert help_of["color"].type == "one of red, green"
    assert help_of["labels"].type == "mapping to integer"
