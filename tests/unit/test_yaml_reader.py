"""YAML as people write it means what they meant; what could mean two things is an error with its line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import ConfigError
from groundup.yaml_reader import load_yaml, parse_value, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.e5", 1e5),
        ("1E5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("0.10", 0.1),
        ("1_000_000", 1_000_000),
        ("1_0", "1_0"),
        ("0x1F", 31),
        ("0o17", 15),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'010'", "010"),
        ("'true'", "true"),
        ('"1"', "1"),
        ("2024-01-02", "2024-01-02"),
        ("1:30", "1:30"),
        ("a b", "a b"),
        ("中文，标点", "中文，标点"),
        ("-.inf", -math.inf),
        ("1e", "1e"),
        ("e5", "e5"),
        (".", "."),
        ("|\n  3\n", "3\n"),
    ],
)
def test_a_value_means_what_it_looks_like(text: str, value: object) -> None:
    read = parse_yaml(f"a: {text}", "r.yaml")["a"]
    assert read == value and type(read) is type(value)


def test_not_a_number_is_read_as_such() -> None:
    assert math.isnan(parse_yaml("a: .nan", "r.yaml")["a"])


def test_plain_yaml_differs_where_people_are_surprised() -> None:
    """The negative control: the library alone reads these as something else."""
    plain = yaml.safe_load("a: 1e-4\nb: no\nc: 010\nd: 1:30")
    assert plain == {"a": "1e-4", "b": False, "c": 8, "d": 90}


def test_keys_are_texts_as_written() -> None:
    assert parse_yaml("1: a\ntrue: b\nno: c\n0.50: d\n'x y': e", "r.yaml") == {
        "1": "a",
        "true": "b",
        "no": "c",
        "0.50": "d",
        "x y": "e",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "r.yaml:3: the key 'a' stands here again; line 1"),
        ("x:\n  a: 1\n  'a': 3", "r.yaml:3: the key 'a' stands here again"),
        ("x: {a: 1, a: 2}", "r.yaml:1: the key 'a' stands here again"),
        ("a: 1\nb: 010", "r.yaml:2: a number with a leading zero, got '010'; write 10 for the number or '010'"),
        ("a: 00", "write 0 for the number"),
        ("a: &x 1\nb: *x", "r.yaml:1: aliases are not allowed"),
        ("a: *.txt", "put a text that starts with * or & in quotes"),
        ("a: !!python/object/apply:os.system [ls]", "r.yaml:1: tags are not allowed, got 'tag:yaml.org,2002:python/"),
        ("a: 1\nb: !important", "r.yaml:2: tags are not allowed"),
        ("a: 1\nb: [1,\n", "r.yaml:3: is not valid YAML"),
        (
            "a:\n\tb: 1",
            "r.yaml:2: is not valid YAML, found character '\\t' that cannot start any token; indent with spaces",
        ),
        ("a: 1\nb: c: d", "r.yaml:2: is not valid YAML, mapping values are not allowed here"),
        ("a: 1\n b: 2", "r.yaml:2: is not valid YAML"),
        ("a: 1\n---\nb: 2", "r.yaml:2: is not valid YAML, but found another document"),
        ("a: 1\nb: \x07", "r.yaml:2: holds the character U+0007"),
        ("? [a]\n: 1", "r.yaml:1: a key must be a plain text"),
        ("", "r.yaml: is empty; write one `key: value` a line"),
        ("# nothing but a comment", "r.yaml: is empty"),
        ("- a\n- b", "r.yaml: holds a list at the top"),
        ("steps 3", "r.yaml: holds no `key: value` lines, got 'steps 3'"),
        ("steps:3", "a space belongs after the colon"),
        ("steps：3", "write the ASCII colon and a space"),
        ("a: 1\nsteps：3\nb: 2", "write the ASCII colon and a space"),
        ("a: " + "9" * 5000, "r.yaml:1: a number with too many digits"),
        ("a: " + "[" * 5000, "r.yaml: is nested too deeply"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "r.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60) | st.text("ab:- \n[]{}'\"#&*!|>%@`0123.e\t", max_size=40))
def test_no_text_fails_in_another_way(text: str) -> None:
    try:
        parse_value(text, "r.yaml")
    except ConfigError as error:
        assert str(error).startswith("r.yaml")


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("a 中\"'#:\n\t\\-")
)
KEYS = st.text("ab 中:#", max_size=3)


@given(
    st.dictionaries(
        KEYS, st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8)
    )
)
def test_what_json_writes_is_read_back(data: dict[str, object]) -> None:
    """JSON is a part of YAML 1.2."""
    assert parse_yaml(json.dumps(data), "r.yaml") == data


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is empty"),
        (b"\x00\x01\x02\xff", "is a binary file"),
        ("a: 1\nb: caf\u00e9".encode("latin-1"), ":2: is not UTF-8 text, got b'\\xe9'; save it as UTF-8"),
        ("a: 中".encode("gb18030"), ":1: is not UTF-8 text"),
        (b"a: " + b"x" * (1 << 20), "is larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(raw: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        load_yaml(path)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)


@pytest.mark.parametrize("raw", [b"\xef\xbb\xbfa: 1\nb: [x]\n", b"a: 1\r\nb: [x]\r\n", b"a: 1\nb: [x]"])
def test_marks_and_line_ends_of_other_systems_are_no_matter(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(raw)
    assert load_yaml(path) == {"a": 1, "b": ["x"]}


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "sst2.yaml").write_text("a: 1")
    with pytest.raises(ConfigError, match=r"sst3.yaml: no such file; .* holds sst2.yaml"):
        load_yaml(tmp_path / "sst3.yaml")
    with pytest.raises(ConfigError, match=r"is a folder; .* holds sst2.yaml"):
        load_yaml(tmp_path)
    with pytest.raises(ConfigError, match=r"no such file; the folder .* cannot be listed"):
        load_yaml(tmp_path / "nowhere" / "sst3.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_yaml(Path("a\0b"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_yaml(tmp_path / "sst2.yaml" / "x.yaml")
