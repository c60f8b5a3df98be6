"""The quickstart: a useful model in two minutes, three proofs, a hard small task; or your own text and labels.

Every stage leaves its result in the folder and is not done again where it is there: what was killed goes on.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from groundup.checkpoint.tensors import write_folder
from groundup.config import expand_path
from groundup.errors import CheckpointError, ConfigError
from groundup.readers.lines import find_files
from groundup.tour import labels as tables
from groundup.tour import recipes, written
from groundup.tour.proofs import compare_with_transformers, prove_resume
from groundup.tour.python_texts import write_python_texts
from groundup.tour.tell import Teller
from groundup.training.log import format_seconds
from groundup.verbs.check import check
from groundup.verbs.run_folder import write_json
from groundup.verbs.show import show
from groundup.verbs.train import train

PLAN_FILE = "quickstart.json"
LONG_MINUTES = 15.0
"""From so many minutes on, the small task is also tried from an encoder that has read something first."""


@dataclass(frozen=True)
class Quickstart:
    """Where everything lies."""

    folder: Path
    results: Mapping[str, Any]
    """What was found, as it stands in `results.json`."""
    page: Path
    seconds: float

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "folder": str(self.folder),
            "results": dict(self.results),
            "page": str(self.page),
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        return f"done in {format_seconds(self.seconds)}: open {self.page}"


def quickstart(
    *,
    corpus: str | None = None,
    labels: str | None = None,
    text: str = "text",
    label: str = "label",
    minutes: float = 4.0,
    output: str = "runs/quickstart",
    quiet: bool = False,
) -> Quickstart:
    """Train, prove and report within some minutes, on your own text and labels or on what comes with the toolkit.

    Args:
        corpus: a text file (or glob) to pretrain an encoder on.
        labels: a csv, tsv or jsonl file of labelled rows to fine-tune and test on.
        text: the column of the texts in `labels`.
        label: the column of the labels in `labels`.
        minutes: how long it may take on the machine at hand; more of them do more of the same.
        output: the folder of everything; started again with the same settings, it goes on there.
        quiet: print nothing.

    Raises:
        ConfigError: too few minutes, or the folder is of a quickstart with other settings.
    """
    if not 1.0 <= minutes <= 24 * 60:
        raise ConfigError("minutes", "must be from 1 to 1440", got=minutes)
    started, folder = time.monotonic(), expand_path(output, "output")
    if corpus is not None:
        find_files((corpus,), "corpus")
    if labels is not None:
        tables.read_labels(labels, text, label)
    asked = {"corpus": corpus, "labels": labels, "text": text, "label": label, "minutes": minutes}
    plan = _open_plan(folder, asked)
    tell = Teller(quiet=quiet)
    tell.welcome(folder, minutes, plan["threads"], own=bool(corpus or labels))
    results = _own(folder, plan, tell) if corpus or labels else _default(folder, plan, tell)
    write_json(folder / "results.json", results)
    from groundup.tour.page import write_page

    page = write_page(folder, results)
    done = Quickstart(folder, results, page, time.monotonic() - started)
    tell.end(str(done))
    return done


def _open_plan(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, and what was decided for it: steps, threads. Kept, so that a resumed run is the same one."""
    path = folder / PLAN_FILE
    if path.is_file():
        plan = json.loads(path.read_text(encoding="utf-8"))
        if plan["asked"] != dict(asked):
            different = sorted(key for key in asked if plan["asked"].get(key) != asked[key])
            cure = "choose another output, or delete that folder"
            raise CheckpointError(str(folder), f"is a quickstart with other {', '.join(different)}", cure=cure)
        return plan
    if folder.is_dir() and any(folder.iterdir()):
        raise CheckpointError(str(folder), "holds other files", cure="choose another output")
    folder.mkdir(parents=True, exist_ok=True)
    plan = {"asked": dict(asked), "threads": _count_threads(), "steps": {}, "segmenter": _find_segmenter()}
    write_json(path, plan)
    return plan


def _count_threads() -> int:
    return torch.get_num_threads()


def _find_segmenter() -> str:
    """Chinese words need the extra `chinese`; without it whole words are those of languages with spaces."""
    return "none" if importlib.util.find_spec("jieba") is None else "jieba"


def _steps(folder: Path, plan: dict[str, Any], name: str, make: Callable[[int], recipes.Values], seconds: float) -> int:
    """The steps that fit into some seconds here, measured once by taking some of them, then kept in the plan."""
    if name not in plan["steps"]:
        report = check(make(1000))
        assert report.step is not None
        tokens_of_step = report.step.tokens
        plan["steps"][name] = max(20, int(seconds / (report.step.seconds_per_token * tokens_of_step)))
        write_json(folder / PLAN_FILE, plan)
    return plan["steps"][name]


def _default(folder: Path, plan: dict[str, Any], tell: Teller) -> dict[str, Any]:
    minutes, threads = plan["asked"]["minutes"], plan["threads"]
    results: dict[str, Any] = {"kind": "default", "minutes": minutes, "threads": threads}

    tell.stage("data")
    data = written.make_data(folder)

    def make(steps: int) -> recipes.Values:
        return recipes.make_written(data, folder / "written", steps, threads)

    tell.stage("resume")
    resume = prove_resume(make(1000), folder / "proof")
    results["resume"] = asdict(resume) | {"is_exact": resume.is_exact}
    tell.resume(resume)

    steps = _steps(folder, plan, "written", make, 60.0 * minutes * 0.45)
    tell.stage("written", steps=steps)
    report = train(make(steps), quiet=tell.quiet)
    scored = written.score(report.folder, data)
    results["written"] = asdict(scored) | {"run": str(report.folder), "seconds": report.seconds, "steps": report.step}
    tell.written(scored, report.folder)

    tell.stage("masks")
    sentiment = _copy_sentiment(folder)
    masked = recipes.make_masked(sentiment / "train.csv", folder / "masked", plan["segmenter"])
    shown = show(masked, count=6)
    results["masked"] = [{"text": each.text, "sample": each.sample} for each in shown.sequences]
    tell.masked(shown, plan["segmenter"])

    tell.stage("sentiment")
    epochs = 8.0 if minutes < LONG_MINUTES else 16.0
    report = train(recipes.make_sentiment(sentiment, folder / "sentiment", epochs, threads), quiet=tell.quiet)
    judged = tables.judge(report.folder, sentiment / "train.csv", sentiment / "test.csv", "language")
    results["sentiment"] = asdict(judged) | {"run": str(report.folder), "seconds": report.seconds}
    tell.judged(judged, report.folder)

    same = compare_with_transformers(report.folder, tables.read_texts(sentiment / "test.csv")[:40])
    results["transformers"] = asdict(same)
    tell.transformers(same)
    if minutes >= LONG_MINUTES:
        results |= _read_first(folder, plan, sentiment, tell)
    return results


def _read_first(folder: Path, plan: dict[str, Any], sentiment: Path, tell: Teller) -> dict[str, Any]:
    """Does it help the small task to have read what every machine has? The same design from fresh weights beside it."""
    threads = plan["threads"]
    texts = [folder / "python.txt", _write_texts(folder, sentiment)]
    if not texts[0].is_file():
        write_python_texts(texts[0])

    def make(steps: int) -> recipes.Values:
        return recipes.make_pretraining(
            [str(each) for each in texts], folder / "pretrained", steps, threads, plan["segmenter"]
        )

    steps = _steps(folder, plan, "pretrained", make, 60.0 * plan["asked"]["minutes"] * 0.3)
    tell.stage("read", steps=steps)
    pretrained = train(make(steps), quiet=tell.quiet)
    return {"pretrained": pretrained.to_json()} | _compare_starts(folder, pretrained.folder, sentiment, threads, tell)


def _compare_starts(folder: Path, pretrained: Path, data: Path, threads: int, tell: Teller) -> dict[str, Any]:
    """The same labels from the encoder that has read and from fresh weights, on the same test rows."""
    results: dict[str, Any] = {}
    judged = {}
    for name, is_fresh in (("pretrained_labels", False), ("fresh_labels", True)):
        tell.stage(name)
        values = recipes.make_classifier(
            data, folder / name, pretrained, is_fresh=is_fresh, epochs=4.0, threads=threads
        )
        report = train(values, quiet=tell.quiet)
        judged[name] = tables.judge(report.folder, data / "train.csv", data / "test.csv")
        results[name] = asdict(judged[name]) | {"run": str(report.folder), "seconds": report.seconds}
        tell.judged(judged[name], report.folder)
    gain = tables.compare(judged["pretrained_labels"], judged["fresh_labels"])
    tell.gain(gain)
    return results | {"gain": asdict(gain)}


def _own(folder: Path, plan: dict[str, Any], tell: Teller) -> dict[str, Any]:
    asked, threads = plan["asked"], plan["threads"]
    seconds, has_labels = 60.0 * asked["minutes"], asked["labels"] is not None
    results: dict[str, Any] = {"kind": "own", "minutes": asked["minutes"], "threads": threads}
    data = tables.split_labels(asked["labels"], folder, asked["text"], asked["label"]) if has_labels else None
    texts = [asked["corpus"]] if asked["corpus"] else [str(_write_texts(folder, data))]

    def make(steps: int) -> recipes.Values:
        return recipes.make_pretraining(texts, folder / "pretrained", steps, threads, plan["segmenter"])

    steps = _steps(folder, plan, "pretrained", make, seconds * (0.5 if has_labels else 0.8))
    tell.stage("resume")
    resume = prove_resume(make(1000), folder / "proof")
    results["resume"] = asdict(resume) | {"is_exact": resume.is_exact}
    tell.resume(resume)
    tell.stage("pretrain", steps=steps)
    pretrained = train(make(steps), quiet=tell.quiet)
    results["pretrained"] = pretrained.to_json()
    shown = show(make(steps), count=4)
    results["masked"] = [{"text": each.text, "sample": each.sample} for each in shown.sequences]
    tell.masked(shown, plan["segmenter"])
    if data is None:
        tell.pretrained(pretrained.folder)
        return results
    results |= _compare_starts(folder, pretrained.folder, data, threads, tell)
    same = compare_with_transformers(folder / "pretrained_labels", tables.read_texts(data / "test.csv")[:40])
    results["transformers"] = asdict(same)
    tell.transformers(same)
    return results


def _copy_sentiment(folder: Path) -> Path:
    """The sentences that come with the toolkit as files of this folder, so that every figure has its data beside it."""
    home = folder / "sentences"
    if not home.is_dir():

        def write(hidden: Path) -> None:
            hidden.mkdir(parents=True, exist_ok=True)
            for name in ("train.csv", "validation.csv", "test.csv"):
                (hidden / name).write_bytes((written.SENTENCES / name).read_bytes())

        write_folder(home, write)
    return home


def _write_texts(folder: Path, data: Path | None) -> Path:
    """Without a corpus the encoder reads the training texts alone."""
    assert data is not None
    path = folder / "texts.txt"
    if not path.is_file():
        lines = [" ".join(each.split()) for each in tables.read_texts(data / "train.csv")]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
