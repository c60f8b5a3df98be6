"""What files of predictions must say beside the models that wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from groundup.verbs.compare import CompareReport, compare
from groundup.verbs.predict_file import predict_file


def check_files_compare_alike(
    runs: tuple[Path, Path],
    file: Path,
    keep: str,
    folder: Path,
    *,
    wrong: object,
    lost: tuple[str, ...] = (),
    beside: tuple[str, ...] = (),
) -> CompareReport:
    """Files of two runs, as jsonl and as csv, compare as the runs do; where a wrong thing is called right they do not.

    Args:
        runs: two of them, of the same rows.
        file: the rows.
        keep: the column of what is right.
        folder: where files are written.
        wrong: what is right of no row, or of few.
        lost: metrics that files do not have.
        beside: other columns to keep.
    """
    models = compare(*runs)
    for ending in ("jsonl", "csv"):
        files = [folder / f"{number}.{ending}" for number in range(2)]
        for run, written in zip(runs, files, strict=True):
            predict_file(run, file, written, keep={keep: "gold", **{name: name for name in beside}}, quiet=True)
        found = compare(*files)
        assert list(found.metrics) == [name for name in models.metrics if name not in lost]
        for name, each in found.metrics.items():
            expected = models.metrics[name]
            assert each.signature == expected.signature, name
            for figure in ("first", "second", "low", "high"):
                assert getattr(each, figure) == pytest.approx(getattr(expected, figure), rel=1e-4, abs=1e-6), name
            assert each.p_value == pytest.approx(expected.p_value, abs=0.01), name
        counts = ("count", "first_better", "second_better", "both_right", "alike")
        assert [getattr(found, each) for each in counts] == [getattr(models, each) for each in counts]
    rows = [json.loads(line) | {"gold": wrong} for line in files[0].with_suffix(".jsonl").open(encoding="utf-8")]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "wrong.jsonl").write_text(text, encoding="utf-8")
    broken = compare(folder / "wrong.jsonl", folder / "wrong.jsonl")
    figures = [[each.first for each in of.metrics.values()] for of in (found, broken)]
    assert figures[1] != pytest.approx(figures[0])
    return models
