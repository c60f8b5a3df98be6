"""Whatever happens to the files of a training state: it is noticed, named, and the last good step is offered."""

import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from groundup.checkpoint.manifest import seal
from groundup.checkpoint.store import Store
from groundup.errors import CheckpointError

FILES = ("tensors.safetensors", "state.json", "manifest.json", "notes.txt")


def make_tree(step: int = 0) -> dict:
    draw = torch.Generator().manual_seed(step)
    return {
        "model": {"a.weight": torch.randn(8, 4, generator=draw), "half": torch.ones(3, dtype=torch.bfloat16)},
        "optimizer": {"step/a.weight": torch.tensor(7.0)},
        "progress": {"step": step, "best": 0.1 + 0.2, "none": None, "flag": True, "name": "好 name"},
    }


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path / "checkpoints")
    for step in (900, 1000):
        store.save(step, make_tree(step), extra_files={"notes.txt": b"notes"})
    return store


def reseal(folder: Path, step: int = 1000) -> None:
    """Make a changed folder vouch for itself, as whoever edits one by hand with care would."""
    (folder / "manifest.json").unlink()
    seal(folder, {"step": step})


def read_tensors_raw(path: Path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def write_tensors_raw(path: Path, header: dict, data: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def assert_noticed(store: Store, name: str) -> None:
    (problem,) = store.verify(1000)
    assert name in problem
    with pytest.raises(CheckpointError) as caught:
        store.load()
    message = str(caught.value)
    assert name in message
    assert f"step 900 is good: remove or rename {store.path(1000)} to resume from it" in message
    assert "\n" not in message
    assert store.latest_good() == 900
    assert store.load(900)["progress"]["step"] == 900


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0.0, 0.5, 1.0])
def test_a_truncated_file(store, name, keep):
    path = store.path(1000) / name
    data = path.read_bytes()
    path.write_bytes(data[: min(len(data) - 1, int(keep * len(data)))])
    assert_noticed(store, name)


@pytest.mark.parametrize("name", FILES)
def test_a_longer_file(store, name):
    with (store.path(1000) / name).open("ab") as file:
        file.write(b"\n")
    assert_noticed(store, name)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(store, name):
    (store.path(1000) / name).unlink()
    assert_noticed(store, name)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file(store, name):
    (store.path(1000) / name).unlink()
    (store.path(1000) / name).mkdir()
    assert_noticed(store, name)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_step(store, name):
    if (store.path(900) / name).read_bytes() != (store.path(1000) / name).read_bytes():
        shutil.copy(store.path(900) / name, store.path(1000) / name)
        assert store.verify(1000)
        assert store.latest_good() == 900


def test_a_whole_step_under_another_number(store):
    store.path(900).rename(store.path(1100))
    assert store.verify(1100) == [f"{store.path(1100) / 'manifest.json'}: belongs to step 900"]
    with pytest.raises(CheckpointError, match="belongs to step 900; step 1000 is good"):
        store.load()


def flip_bits(store: Store, times: int, seed: int) -> int:
    """Flip one random bit of one random file at a time; how many went unnoticed."""
    draw, unnoticed = random.Random(seed), 0
    contents = {name: (store.path(1000) / name).read_bytes() for name in FILES}
    for _ in range(times):
        name = draw.choice(FILES)
        data = bytearray(contents[name])
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path = store.path(1000) / name
        path.write_bytes(data)
        unnoticed += not store.verify(1000)
        path.write_bytes(contents[name])
    assert store.verify(1000) == []
    return unnoticed


def test_flipped_bits(store):
    assert flip_bits(store, 400, seed=1) == 0


@pytest.mark.slow
def test_ten_thousand_flipped_bits(store):
    assert flip_bits(store, 10_000, seed=2) == 0


@pytest.mark.slow
def test_every_bit_of_the_manifest(store):
    path = store.path(1000) / "manifest.json"
    data = path.read_bytes()
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            path.write_bytes(changed)
            assert store.verify(1000), (position, bit)


def test_damage_to_several_files_is_told_file_by_file(store):
    for name in ("state.json", "notes.txt"):
        (store.path(1000) / name).write_bytes(b"")
    assert len(store.verify(1000)) == 2


def test_a_tensor_too_many_or_too_few_in_spite_of_right_checksums(store):
    path = store.path(1000) / "tensors.safetensors"
    header, data = read_tensors_raw(path)
    size = len(data)
    more = {**header, "model/new": {"dtype": "U8", "shape": [1], "data_offsets": [size, size + 1]}}
    write_tensors_raw(path, more, data + b"\0")
    reseal(store.path(1000))
    assert_noticed(store, "model/new is a tensor too many")

    last = max((name for name in header if name != "__metadata__"), key=lambda each: header[each]["data_offsets"])
    start = header[last]["data_offsets"][0]
    write_tensors_raw(path, {name: value for name, value in header.items() if name != last}, data[:start])
    reseal(store.path(1000))
    assert_noticed(store, f"{last} is missing")


def bad_tensor_files() -> dict[str, bytes]:
    def file(header: object, data: bytes = b"", size: int | None = None) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return (len(text) if size is None else size).to_bytes(8, "little") + text + data

    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    return {
        "empty": b"",
        "short": b"\x10\0\0",
        "header larger than the file": file({"model/a.weight": entry}, b"\0" * 4, size=1 << 20),
        "header of 2^63 bytes": file({"model/a.weight": entry}, b"\0" * 4, size=(1 << 63) - 1),
        "header no JSON": file(b"{]", b"\0" * 4),
        "header no object": file([1, 2], b"\0" * 4),
        "unknown dtype": file({"model/a.weight": {**entry, "dtype": "X9"}}, b"\0" * 4),
        "negative shape": file({"model/a.weight": {**entry, "shape": [-1]}}, b"\0" * 4),
        "shape larger than its data": file({"model/a.weight": {**entry, "shape": [1 << 40]}}, b"\0" * 4),
        "offsets beyond the file": file({"model/a.weight": {**entry, "data_offsets": [4, 8]}}, b"\0" * 4),
        "offsets overlap": file({"model/a.weight": entry, "model/b": entry}, b"\0" * 4),
        "data after the last tensor": file({"model/a.weight": entry}, b"\0" * 8),
    }


@pytest.mark.parametrize("data", bad_tensor_files().values(), ids=bad_tensor_files().keys())
def test_no_tensor_file_in_spite_of_right_checksums(store, data):
    (store.path(1000) / "tensors.safetensors").write_bytes(data)
    reseal(store.path(1000))
    assert_noticed(store, "tensors.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {**state, "version": 2}, "is of format version 2, but this release reads version 1"),
        (lambda state: {**state, "format": "other"}, "is no training state, its format is 'other'"),
        (lambda state: {**state, "tensors": None}, "has no tree"),
        (lambda state: {**state, "tensors": dict.fromkeys(state["tensors"], 3)}, "has no tree"),
        (lambda state: {**state, "tensors": {key: ["x"] for key in state["tensors"]}}, "has no place in the tree"),
        (lambda state: {}, "is no training state"),
        (lambda state: [state], "is no JSON object"),
    ],
)
def test_another_format_in_spite_of_right_checksums(store, change, message):
    path = store.path(1000) / "state.json"
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    reseal(store.path(1000))
    assert message in store.verify(1000)[0]
    with pytest.raises(CheckpointError, match="step 900 is good"):
        store.load()


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"{", b"[" * 100_000, b"null"])
def test_a_state_that_is_no_json_in_spite_of_right_checksums(store, text):
    (store.path(1000) / "state.json").write_bytes(text)
    reseal(store.path(1000))
    assert_noticed(store, "state.json")


def test_a_manifest_that_points_outside(store):
    manifest = json.loads((store.path(1000) / "manifest.json").read_text())
    del manifest["checksum"]
    data = (store.path(900) / "state.json").read_bytes()
    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest["files"]["../step-900/state.json"] = entry
    canonical = json.dumps(manifest, ensure_ascii=False, sort_keys=True, indent=1) + "\n"
    manifest["checksum"] = hashlib.sha256(canonical.encode()).hexdigest()
    (store.path(1000) / "manifest.json").write_text(
        json.dumps(manifest, ensure_ascii=False, sort_keys=True, indent=1) + "\n"
    )
    assert_noticed(store, "lies outside the folder")


def test_nothing_there(tmp_path, store):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        Store(tmp_path / "none").load()
    with pytest.raises(CheckpointError, match="step-5: is not there; there are the steps 900, 1000"):
        store.load(5)
    assert "is not there" in store.verify(5)[0]


def test_nothing_good_left(store):
    for step in store.steps():
        (store.path(step) / "state.json").unlink()
    assert store.latest_good() is None
    with pytest.raises(CheckpointError, match=r"state\.json: is missing; there is no good checkpoint to go back to"):
        store.load()


def test_a_damaged_older_step_points_to_the_newer_good_one(store):
    (store.path(900) / "state.json").unlink()
    with pytest.raises(CheckpointError, match=r"state\.json: is missing; step 1000 is good$"):
        store.load(900)


def test_a_file_in_the_place_of_a_step(store):
    shutil.rmtree(store.path(1000))
    store.path(1000).write_text("x")
    assert_noticed(store, "is not a folder")


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "checkpoints").write_text("x")
    store = Store(tmp_path / "checkpoints")
    for action in (store.steps, store.load, store.latest_good, store.clean, lambda: store.save(1, make_tree())):
        with pytest.raises(CheckpointError, match=r"Not a directory|File exists"):
            action()
    with pytest.raises(CheckpointError, match="cannot be written"):
        Store(tmp_path / "checkpoints" / "below").save(1, make_tree())
    assert (tmp_path / "checkpoints").read_text() == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_no_permission_to_write(store):
    store.folder.chmod(0o500)
    try:
        with pytest.raises(CheckpointError, match="Permission denied"):
            store.save(1100, make_tree())
    finally:
        store.folder.chmod(0o700)


@pytest.mark.parametrize("function", ["fsync", "rename", "mkdir"])
def test_a_disk_that_is_full_at_any_moment_leaves_everything_as_it_was(store, monkeypatch, function):
    original = getattr(os, function)
    calls = 0
    for failing in range(50):
        calls = 0

        def fail(*arguments, failing=failing, **keywords):
            nonlocal calls
            calls += 1
            if calls > failing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*arguments, **keywords)

        with monkeypatch.context() as patch:
            patch.setattr(os, function, fail)
            try:
                store.save(1100, make_tree(1100))
            except CheckpointError as error:
                # After the rename an error no longer takes the step back: it is whole, only not surely on the disk.
                assert "No space left on device" in str(error)
            else:
                break
        assert sorted(path.name for path in store.folder.iterdir() if path.name != "step-1100") == [
            ".lock",
            "step-1000",
            "step-900",
        ]
        assert all(store.verify(step) == [] for step in store.steps())
        shutil.rmtree(store.path(1100), ignore_errors=True)
    assert failing > 0
    assert store.load()["progress"]["step"] == 1100


def test_a_disk_that_is_really_full(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        store = Store(tmp_path / "checkpoints")
        store.save(1, {"w": torch.zeros(100_000)})
        for size in (440_000, 900_000):
            with pytest.raises(CheckpointError, match="No space left on device"):
                store.save(2, {"w": torch.zeros(size)})
        with pytest.raises(CheckpointError, match="No space left on device"):
            store.save(2, {"w": torch.zeros(10)}, extra_files={"large": bytes(4_000_000)})
        assert sorted(path.name for path in store.folder.iterdir()) == [".lock", "step-1"]
        assert store.verify(1) == []
        store.save(2, {"w": torch.zeros(100_000)})
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
