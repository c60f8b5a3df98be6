"""Safetensors files: every damage of the header or the size is noticed; folders are whole or not there."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from groundup.checkpoint.tensors import read_tensors, write_folder, write_tensors
from groundup.errors import CheckpointError

TENSORS = {
    "weight": torch.arange(12.0).reshape(3, 4),
    "half": torch.ones(5, dtype=torch.bfloat16),
    "scalar": torch.tensor(7),
    "empty": torch.zeros(0, 3),
    "flags": torch.tensor([True, False]),
    "名": torch.tensor([1.5], dtype=torch.float64),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_tensors(tmp_path / "a.safetensors", TENSORS, {"format": "pt"})
    return tmp_path / "a.safetensors"


def header_of(path: Path) -> tuple[dict[str, object], bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_header(path: Path, header: object, body: bytes) -> None:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def test_what_is_written_is_read(path: Path) -> None:
    read = read_tensors(path)
    assert read.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor)
        assert read[name].data_ptr() % 8 == 0


def test_the_library_reads_ours_and_we_read_the_librarys(path: Path, tmp_path: Path) -> None:
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert all(torch.equal(file.get_tensor(name), tensor) for name, tensor in TENSORS.items())
    save_file(TENSORS, tmp_path / "b.safetensors")
    assert all(torch.equal(tensor, TENSORS[name]) for name, tensor in read_tensors(tmp_path / "b.safetensors").items())


def test_equal_tensors_give_equal_bytes(path: Path, tmp_path: Path) -> None:
    write_tensors(tmp_path / "b", dict(reversed(TENSORS.items())), {"format": "pt"})
    assert path.read_bytes() == (tmp_path / "b").read_bytes()


def test_views_and_shared_storage(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    write_tensors(tmp_path / "a", {"one": base.T, "other": base[1:], "whole": base}, {})
    read = read_tensors(tmp_path / "a")
    assert torch.equal(read["one"], base.T) and torch.equal(read["other"], base[1:])


def test_later_changes_of_the_file_do_not_reach_the_tensors(path: Path) -> None:
    read = read_tensors(path)
    path.write_bytes(bytes(len(path.read_bytes())))
    assert torch.equal(read["weight"], TENSORS["weight"])


def test_every_truncation_is_noticed(path: Path) -> None:
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"a\.safetensors: is (cut off|damaged)"):
            read_tensors(path)
    path.write_bytes(data + b"x")
    with pytest.raises(CheckpointError, match="holds bytes behind its tensors"):
        read_tensors(path)


def test_a_flipped_bit_of_the_header_is_noticed_or_changes_a_name(path: Path) -> None:
    """What a flip can do unseen: rename a tensor or change the metadata. Names are checked by whoever knows them."""
    data = path.read_bytes()
    length = 8 + int.from_bytes(data[:8], "little")
    seen = 0
    bits = range(0, 8 * length, 7)
    for bit in bits:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            read = read_tensors(path)
        except CheckpointError as error:
            seen += 1
            assert str(error).startswith(f"{path}: is ") or "holds bytes behind" in str(error)
            continue
        if read.keys() == TENSORS.keys():
            for name, tensor in TENSORS.items():
                assert read[name].numel() == 0 or torch.equal(read[name], tensor)
    assert seen > 0.75 * len(bits)


@pytest.mark.parametrize(
    ("header", "body", "problem"),
    [
        (b"[]", b"", "no JSON object"),
        (b"{", b"", "no JSON"),
        (b"\xff", b"", "no JSON"),
        (b'{"a":1,"a":1}', b"", "stands twice"),
        ({"a": {"dtype": "F32", "shape": [1]}}, b"0000", "does not describe the tensor 'a'"),
        ({"a": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}}, b"0000", "does not describe the tensor 'a'"),
        ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"0000", "does not describe the tensor 'a'"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"0000", "4 bytes for the tensor 'a'"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, b"00000000", "starts at byte 4"),
        (
            {
                "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                "b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]},
            },
            b"000000",
            "the tensor 'b' starts at byte 2",
        ),
    ],
)
def test_headers_that_lie(header: object, body: bytes, problem: str, tmp_path: Path) -> None:
    write_header(tmp_path / "a", header, body)
    with pytest.raises(CheckpointError, match=problem):
        read_tensors(tmp_path / "a")


def test_a_header_larger_than_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes((2**60).to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match=f"a header of {2**60} bytes in 10"):
        read_tensors(tmp_path / "a")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is missing"):
        read_tensors(tmp_path / "none")
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        read_tensors(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(CheckpointError, match="is cut off: it has 0 bytes"):
        read_tensors(tmp_path / "empty")


def test_a_dtype_that_the_format_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^wave: has a dtype that cannot be stored"):
        write_tensors(tmp_path / "a", {"wave": torch.zeros(1, dtype=torch.complex64)}, {})


def test_a_full_disk_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        write_tensors(Path("/dev/full"), {"a": torch.zeros(100_000)}, {})


def fill(text: str):
    return lambda folder: (folder / "a").write_text(text)


def test_a_folder_is_written_and_replaced(tmp_path: Path) -> None:
    write_folder(tmp_path / "new" / "model", fill("1"))
    assert (tmp_path / "new" / "model" / "a").read_text() == "1"
    write_folder(tmp_path / "new" / "model", fill("2"))
    assert (tmp_path / "new" / "model" / "a").read_text() == "2"
    assert os.listdir(tmp_path / "new") == ["model"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_where_writing_fails_everything_is_as_before(error: BaseException, tmp_path: Path) -> None:
    write_folder(tmp_path / "model", fill("1"))

    def fail(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise error

    with pytest.raises((CheckpointError, KeyboardInterrupt)) as caught:
        write_folder(tmp_path / "model", fail)
    if isinstance(error, OSError):
        assert "cannot be written: No space left on device" in str(caught.value)
    assert os.listdir(tmp_path) == ["model"] and (tmp_path / "model" / "a").read_text() == "1"


def test_where_the_exchange_fails_the_old_folder_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "model", fill("1"))
    rename = os.rename

    def fail(source: Path, target: Path) -> None:
        if Path(source).name == ".model.writing":
            raise PermissionError(errno.EACCES, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(CheckpointError, match="Permission denied"):
        write_folder(tmp_path / "model", fill("2"))
    assert os.listdir(tmp_path) == ["model"] and (tmp_path / "model" / "a").read_text() == "1"


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "model").touch()
    with pytest.raises(CheckpointError, match="is a file, not a folder"):
        write_folder(tmp_path / "model", fill("1"))
    with pytest.raises(CheckpointError, match=r"cannot be written: (File exists|Not a directory)"):
        write_folder(tmp_path / "model" / "below", fill("1"))


def test_two_writers_of_one_folder(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        with pytest.raises(CheckpointError, match="another process is writing it"):
            write_folder(tmp_path / "model", fill("second"))
        fill("first")(folder)

    write_folder(tmp_path / "model", write)
    assert (tmp_path / "model" / "a").read_text() == "first"


KILLED = """
    import os, sys
    from pathlib import Path
    from groundup.checkpoint.tensors import write_folder
    folder, moment = Path(sys.argv[1]), sys.argv[2]
    write_folder(folder, lambda hidden: (hidden / "a").write_text("1"))
    rename = os.rename
    def kill(source, target):
        if moment == "between" and Path(source).name == ".model.writing":
            os._exit(9)
        rename(source, target)
    os.rename = kill
    write_folder(folder, lambda hidden: os._exit(9) if moment == "writing" else (hidden / "a").write_text("2"))
"""


@pytest.mark.parametrize("moment", ["writing", "between"])
def test_the_next_writer_settles_what_a_killed_one_left(moment: str, tmp_path: Path) -> None:
    program = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "model"), moment]
    assert subprocess.run(program, check=False).returncode == 9
    assert len(os.listdir(tmp_path)) == 2, "something is left over"

    def fail(folder: Path) -> None:
        assert os.listdir(folder) == []
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CheckpointError):
        write_folder(tmp_path / "model", fail)
    assert os.listdir(tmp_path) == ["model"] and (tmp_path / "model" / "a").read_text() == "1"
    write_folder(tmp_path / "model", fill("3"))
    assert os.listdir(tmp_path) == ["model"] and (tmp_path / "model" / "a").read_text() == "3"
