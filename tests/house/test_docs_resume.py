"""The page on exact resume: its run repeats, stops and continues as written, and its messages are the real ones."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from pages import LANGUAGES, ROOT, Ended, Run, find_blocks, find_commands, write_files

from groundup.training.trainer import Trainer


def page_of(language: str) -> Path:
    return ROOT / "docs" / language / "resume.md"


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder with the files of the page and the table that it borrows from the page before."""
    monkeypatch.chdir(tmp_path)
    write_files(ROOT / "docs" / request.param / "your-own-csv.md", tmp_path)
    write_files(page_of(request.param), tmp_path)
    yield request.param
    torch.set_num_threads(1)


@contextmanager
def interrupted_after(step: int) -> Iterator[None]:
    """Ctrl-C, once, in a certain step."""
    take_step = Trainer._take_step

    def interrupting(self: Trainer, *arguments: object) -> object:
        outcome = take_step(self, *arguments)
        if self.state.progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_take_step", interrupting)
        yield


def shown(language: str, mark: str) -> list[str]:
    (block,) = find_blocks(page_of(language), mark)
    return block.text.splitlines()


def message(ended: Ended) -> str:
    assert ended.code == 2, ended
    return ended.err[ended.err.index("error: ") :]


def test_the_run_of_the_page_stops_and_continues_exactly(language: str, run: Run) -> None:
    (whole,) = find_commands(page_of(language))
    first, second = find_commands(page_of(language), "stop and continue")
    assert run(*whole).code == 0
    on_error, on_output = shown(language, "stopped")
    with interrupted_after(int(re.search(r"after step (\d+)", on_error)[1])):
        ended = run(*first)
    assert ended.code == 128 + signal.SIGINT
    assert on_error in ended.err.splitlines() and ended.out.splitlines() == [on_output]
    ended = run(*second)
    assert ended.code == 0
    assert set(shown(language, "continued")) <= set(ended.err.splitlines())
    one, other = (Path(f"runs/{name}/model/model.safetensors").read_bytes() for name in ("whole", "resume"))
    assert one == other


def go_wrong(run: Run) -> Iterator[str]:
    """Everything that the page shows to go wrong, in its order, as the messages that come."""
    train = ("train", "resume.yaml")
    assert run(*train).code == 0
    yield message(run(*train, "train.threads=2"))
    yield message(run(*train, "train.steps=500"))
    table = Path("train.csv").read_bytes()
    Path("train.csv").write_bytes(table + table.splitlines(keepends=True)[-1])
    yield message(run(*train))
    Path("train.csv").write_bytes(table)
    with Path("runs/resume/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield message(run(*train))
    newest = Path("runs/resume/checkpoints/step-400/tensors.safetensors")
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    yield message(run(*train))
    shutil.move(newest.parent, "aside")
    assert run(*train).code == 0  # the cure is one
    worse = (*train, "optimizer.learning_rate=1e9", "output=runs/bad")
    yield message(run(*worse))
    yield message(run(*worse, "train.on_nonfinite=skip"))


def test_every_message_is_the_real_one(language: str, run: Run) -> None:
    page = page_of(language)
    expected = [block.text for block in find_blocks(page) if block.text.startswith("error: ")]
    assert list(go_wrong(run)) == expected
    assert "optimizer.learning_rate=1e9 output=runs/bad" in page.read_text(encoding="utf-8")
    accepted = run("train", "resume.yaml", "train.threads=2", "--accept-inexact")
    assert accepted.code == 0 and set(shown(language, "accepted")) <= set(accepted.err.splitlines())
    written = "".join(Path("runs/bad/bad_batches/step-3.json").read_text(encoding="utf-8").split())
    at = 0
    for part in "".join("".join(shown(language, "bad batch")).split()).split("..."):
        at = written.index(part.strip(",]"), at)


def test_a_finished_model_trains_on_as_the_page_says(language: str, run: Run) -> None:
    again = ["output=runs/more", "tokenizer=null", "train.steps=4"]
    assert run("train", "resume.yaml", "train.steps=4").code == 0
    model = re.search(r"`model: (\{kind: pretrained[^`]+\})`", page_of(language).read_text(encoding="utf-8"))[1]
    assert run("train", "resume.yaml", *again, f"model={model}").code == 0


@pytest.mark.parametrize("language_of_command", LANGUAGES)
def test_the_proof_is_a_script_that_exists(language_of_command: str) -> None:
    """Fewer kills of it run in tests/system/test_training.py."""
    (block,) = find_blocks(page_of(language_of_command), "prove")
    _, script, *options = block.text.split()
    assert (ROOT / script).is_file()
    source = (ROOT / script).read_text(encoding="utf-8")
    assert all(f'"{option}"' in source for option in options if option.startswith("--"))
