"""Weights in shards and in old files, and folders that hold none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from groundup.checkpoint.weights import read_weights
from groundup.errors import CheckpointError

TENSORS = {name: torch.full((3,), float(number)) for number, name in enumerate("abcde")}
PLACES = {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for shard in set(PLACES.values()):
        save_file({name: TENSORS[name] for name, place in PLACES.items() if place == shard}, tmp_path / shard)
    write_index(tmp_path, PLACES)
    return tmp_path


def write_index(folder: Path, places: object) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def test_shards_are_put_together(shards: Path) -> None:
    tensors, file = read_weights(shards)
    assert tensors.keys() == PLACES.keys() and all(torch.equal(tensors[name], TENSORS[name]) for name in tensors)
    assert file.name == "model.safetensors.index.json"


def test_a_missing_shard(shards: Path) -> None:
    (shards / "model-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"lists 2 files, of which model-2\.safetensors is missing"):
        read_weights(shards)


@pytest.mark.parametrize("places", [PLACES | {"d": "model-2.safetensors"}, {"a": "model-1.safetensors"}])
def test_shards_and_index_that_disagree(places: dict[str, str], shards: Path) -> None:
    write_index(shards, places)
    with pytest.raises(
        CheckpointError, match=r"holds other tensors than model\.safetensors\.index\.json lists, such as"
    ):
        read_weights(shards)


@pytest.mark.parametrize("places", [None, {}, ["a"], {"a": "../model-1.safetensors"}, {"a": ""}, {"a": 3}])
def test_an_index_that_is_none(places: object, shards: Path) -> None:
    write_index(shards, places)
    with pytest.raises(CheckpointError, match="does not say which file"):
        read_weights(shards)


def test_a_damaged_shard_is_named(shards: Path) -> None:
    data = (shards / "model-2.safetensors").read_bytes()
    (shards / "model-2.safetensors").write_bytes(data[:-1])
    with pytest.raises(CheckpointError, match=r"model-2\.safetensors: is cut off"):
        read_weights(shards)


def test_an_old_file_is_read_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(TENSORS, tmp_path / "pytorch_model.bin")
    tensors, _ = read_weights(tmp_path)
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert "pytorch_model.bin is read by torch's restricted unpickler" in capsys.readouterr().err


def test_old_files_in_shards(tmp_path: Path) -> None:
    torch.save({"a": TENSORS["a"]}, tmp_path / "one.bin")
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"a": "one.bin"}}))
    assert torch.equal(read_weights(tmp_path)[0]["a"], TENSORS["a"])


def test_safetensors_are_preferred(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": TENSORS["b"]}, tmp_path / "pytorch_model.bin")
    save_file({"a": TENSORS["a"]}, tmp_path / "model.safetensors")
    assert torch.equal(read_weights(tmp_path)[0]["a"], TENSORS["a"])
    assert capsys.readouterr().err == ""


class Hostile:
    """What runs code when an unrestricted unpickler meets it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("owned",)


def test_an_old_file_that_would_run_code_runs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": TENSORS["a"], "b": Hostile()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: is damaged, or holds more than tensors") as caught:
        read_weights(tmp_path)
    assert "weights_only" not in str(caught.value)  # torch's own message says how to run the code
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [[1, 2], {"a": TENSORS["a"], "epoch": 3}])
def test_an_old_file_of_something_else(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="is no mapping of names to tensors"):
        read_weights(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 100, -1, -30])
def test_an_old_file_cut_off(size: int, tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save(TENSORS, path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: is damaged"):
        read_weights(tmp_path)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no model\.safetensors; is it a model folder"):
        read_weights(tmp_path)
    (tmp_path / "tf_model.h5").touch()
    with pytest.raises(CheckpointError, match=r"only tf_model\.h5 of another framework; save it again"):
        read_weights(tmp_path)
