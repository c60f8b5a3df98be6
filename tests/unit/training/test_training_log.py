"""What a run writes while it runs: events that TensorBoard reads, and files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundup.training.log import TensorBoard, write_whole


def read_points(folder: Path, name: str) -> list[tuple[int, float]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_tensorboard_reads_every_point_once_after_a_resume(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    first = TensorBoard(tmp_path / "tensorboard", step=0)
    for step in (10, 20, 30):
        first.write(step, {"train/loss": step / 4, "train/tokens": step})
    first.close()
    resumed = TensorBoard(tmp_path / "tensorboard", step=20)  # the checkpoint is of step 20: step 30 is done again
    resumed.write(30, {"train/loss": 0.5})
    resumed.close()
    assert read_points(tmp_path / "tensorboard", "train/loss") == [(10, 2.5), (20, 5.0), (30, 0.5)]
    assert read_points(tmp_path / "tensorboard", "train/tokens") == [(10, 10.0), (20, 20.0)]


def test_without_tensorboard_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    board = TensorBoard(tmp_path / "tensorboard", step=0)
    board.write(1, {"train/loss": 1.0})
    board.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_replaced_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(OSError):
        write_whole(tmp_path / "metrics.jsonl", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    write_whole(tmp_path / "report.json", b"{}")
    assert (tmp_path / "report.json").read_bytes() == b"{}"
