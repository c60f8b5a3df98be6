"""Names on the hub: fetched where the extra and a network are there, else a message that says how to do without."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from groundup.checkpoint.hub import find_folder
from groundup.errors import CheckpointError, MissingExtraError


def put_hub(monkeypatch: pytest.MonkeyPatch, answer: object, cached: Path | None = None) -> list[list[str]]:
    """A stand-in for huggingface_hub; the list fills with the patterns that are asked for."""
    asked: list[list[str]] = []

    class HfApi:
        def model_info(self, name: str, *, timeout: float) -> None:
            assert timeout <= 30
            if isinstance(answer, Exception):
                raise answer

    def snapshot_download(name: str, allow_patterns: list[str], local_files_only: bool = False) -> str:
        asked.append(allow_patterns)
        assert local_files_only or not isinstance(answer, Exception)
        if local_files_only and cached is None:
            raise FileNotFoundError("not in the cache")
        return str(cached or answer)

    module = ModuleType("huggingface_hub")
    module.HfApi, module.snapshot_download = HfApi, snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return asked


def test_a_local_folder_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = put_hub(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bert-base-uncased").mkdir()
    assert find_folder(tmp_path) == tmp_path
    assert find_folder("bert-base-uncased") == Path("bert-base-uncased")
    assert asked == []


def test_a_name_is_fetched_without_old_files_where_there_are_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = put_hub(monkeypatch, tmp_path)
    (tmp_path / "model.safetensors").touch()
    assert find_folder("google-bert/bert-base-chinese") == tmp_path
    assert len(asked) == 1 and not any("bin" in pattern for pattern in asked[0])
    (tmp_path / "model.safetensors").unlink()
    assert find_folder("google-bert/bert-base-chinese") == tmp_path
    assert "pytorch_model*.bin" in asked[-1]


class ForeignError(Exception):
    """As the client's own libraries raise them: no OSError, no ValueError, no RuntimeError."""


ERRORS = [OSError("no route\nto host"), ValueError("no such name"), RuntimeError(""), ForeignError("timed out")]


@pytest.mark.parametrize("error", ERRORS)
def test_without_a_network_the_message_says_how_to_do_without(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_hub(monkeypatch, error)
    with pytest.raises(CheckpointError) as caught:
        find_folder("bert-base-uncased")
    assert "hf download bert-base-uncased --local-dir FOLDER" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (str(error).splitlines() or ["RuntimeError"])[0] in str(caught.value)


def test_without_a_network_a_name_that_was_fetched_before_is_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_hub(monkeypatch, ForeignError("timed out"), cached=tmp_path)
    assert find_folder("bert-base-uncased") == tmp_path


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'groundup\[hub\]'"):
        find_folder("bert-base-uncased")


@pytest.mark.parametrize(
    "name", ["./model", "runs/a/model", "/no/such/model", "../no-such", "a b", "模型", Path("model")]
)
def test_what_can_only_be_a_folder_is_not_looked_up(name: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = put_hub(monkeypatch, "")
    with pytest.raises(CheckpointError, match="no such folder"):
        find_folder(name)
    assert asked == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(CheckpointError, match="is a file, not a model folder"):
        find_folder(tmp_path / "model.safetensors")


def test_a_folder_whose_save_was_killed_is_found_again(tmp_path: Path) -> None:
    (tmp_path / ".model.replaced").mkdir()
    with pytest.raises(CheckpointError, match=r"killed at its last moment; rename .*\.model\.replaced to model"):
        find_folder(tmp_path / "model")
