"""The kinds of answers that `predict` writes to files, and which of them a file holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from groundup.errors import DataError
from groundup.tasks.choice_answers import ChoiceAnswers
from groundup.tasks.entity_answers import EntityAnswers
from groundup.tasks.passage_answers import PassageAnswers
from groundup.tasks.row_answers import LabelAnswers, LabelsAnswers, NumberAnswers
from groundup.tasks.written import WrittenRow

AnyAnswers = LabelAnswers | LabelsAnswers | NumberAnswers | ChoiceAnswers | EntityAnswers | PassageAnswers


def find_kind(rows: Sequence[WrittenRow]) -> type[AnyAnswers]:
    """The kind whose columns a file has, the last of which is the answer; of several the one that answers last.

    What was kept of the input stands in front of the answer.

    Raises:
        DataError: it has those of no kind.
    """
    first = rows[0]
    names = [str(name) for name in first.fields if name != first.gold]
    whole = [kind for kind in get_args(AnyAnswers) if set(kind.columns) <= set(names)]
    if not whole:
        cure = f"columns are {', '.join(names)}; give files that groundup predict wrote, or their columns"
        raise DataError(str(first.file), "holds no answers that can be compared", got=names, cure=cure)
    return max(whole, key=lambda kind: names.index(kind.columns[-1]))
