"""Data files on the hub: fetched where the extra and a network are there, else a message that says how without."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from groundup.errors import DataError, MissingExtraError
from groundup.readers.lines import find_files
from groundup.readers.locate import locate
from groundup.readers.table import TableConfig

NAME = "hf://datasets/owner/reviews/data/train.csv"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What a stand-in for huggingface_hub is asked for; it answers with a file of two rows."""
    asked: list[dict[str, object]] = []
    (tmp_path / "train.csv").write_text("text,label\nfine,1\n不好,0\n", encoding="utf-8")

    def hf_hub_download(name: str, file: str, **settings: object) -> str:
        asked.append({"name": name, "file": file, **settings})
        if "missing" in file:
            raise OSError("404: no such file\nmore")
        return str(tmp_path / "train.csv")

    module = ModuleType("huggingface_hub")
    module.hf_hub_download = hf_hub_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return asked


def test_a_name_on_the_hub_is_a_file_like_any_other(asked: list[dict[str, object]]) -> None:
    rows = list(TableConfig(train=NAME).iterate("train"))
    assert [(row.text, row.label) for row in rows] == [("fine", "1"), ("不好", "0")]
    assert asked[0] | {"etag_timeout": 0} == {
        "name": "owner/reviews",
        "file": "data/train.csv",
        "repo_type": "dataset",
        "revision": None,
        "etag_timeout": 0,
    }
    (file,) = find_files([NAME.replace("reviews/", "reviews@v1.0/")], "data.train")
    assert file.name == "train.csv" and asked[-1]["revision"] == "v1.0"


def test_what_cannot_be_fetched_is_said_in_one_line(asked: list[dict[str, object]]) -> None:
    with pytest.raises(DataError, match=r"cannot be fetched from the hub \(404: no such file\).*hf download owner/rev"):
        locate(NAME.replace("train", "missing"), "data.train")
    for name in ("hf://datasets/reviews.csv", "hf://models/a/b/c.csv", "hf://datasets/a/b/*.csv", "hf://datasets/a/b/"):
        with pytest.raises(DataError, match=r"data\.train: is no file of a data set on the hub.*write hf://datasets"):
            locate(name, "data.train")
    assert len(asked) == 1


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"data\.train: hf://.*pip install 'groundup\[hub\]'"):
        locate(NAME, "data.train")
