"""Answers to a test split whose labels are kept back, in the file that the server of its benchmark takes.

GLUE (Wang et al. 2018; https://gluebenchmark.com/faq) takes a table for each task, CLUE (Xu et al. 2020;
https://github.com/CLUEbenchmark/CLUE) a JSON object a line. Both want every row of the test split, in its order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, NamedTuple


class Submission(NamedTuple):
    """A file that is handed in."""

    file: str
    """Its name, by which the server knows the task."""
    split: str
    """Of the data set, whose rows it answers."""
    rows: int
    """Of that split as it is released: no more and no fewer answers are taken."""
    layout: Literal["glue", "clue"] = "glue"
    bounds: tuple[float, float] | None = None
    """Of answers that are numbers: what lies outside is moved to the nearest. None where they are labels."""
    learnt: str | None = None
    """The data set that models learn for it; None: the one that it is of."""

    def write(self, answers: Sequence[str | float], start: int = 0) -> str:
        """The text of some answers, the first of them to row `start`; a header goes before row 0."""
        lines = ["index\tprediction\n"] if self.layout == "glue" and start == 0 else []
        return "".join([*lines, *(self._write_line(number, each) for number, each in enumerate(answers, start))])

    def _write_line(self, number: int, answer: str | float) -> str:
        if self.layout == "clue":
            return json.dumps({"id": number, "label": answer}, ensure_ascii=False) + "\n"
        if self.bounds is None:
            return f"{number}\t{answer}\n"
        low, high = self.bounds
        return f"{number}\t{min(max(float(answer), low), high):.3f}\n"
