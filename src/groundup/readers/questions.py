"""Questions on passages in the layout of SQuAD, in which most data sets of this kind are released."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundup.errors import DataError
from groundup.readers.examples import Answer, ChoiceExample, QuestionExample
from groundup.readers.formats import Kind
from groundup.readers.lines import iterate_whole_lines, place


@dataclass(frozen=True)
class SquadFormat:
    """`{"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text", "answer_start"}]}]}]}]}`.

    Starts count characters (code points). A question whose answers are empty, or that `is_impossible`, has none.
    """

    kind: Kind = "questions"

    def read(self, files: Sequence[Path]) -> Iterator[QuestionExample]:
        """The questions. Whether answers stand where they say is for `find_answer_fault`."""
        (file,) = files
        source = _JsonFile(file)
        for article in source.items(source.value, "data", "the file"):
            for paragraph in source.items(article, "paragraphs", "an article"):
                passage = source.text(paragraph, "context", "a paragraph")
                for question in source.items(paragraph, "qas", "a paragraph"):
                    yield _read_question(source, question, passage)


@dataclass(frozen=True)
class DialogueChoiceFormat:
    """`[[[line, ...], [{"question", "choice": [...], "answer"}], id], ...]`, as C3 is released."""

    kind: Kind = "choice"

    def read(self, files: Sequence[Path]) -> Iterator[ChoiceExample]:
        """The questions of one file after the other, each with the lines of its text as context."""
        for file in files:
            yield from self._read_file(file)

    def _read_file(self, file: Path) -> Iterator[ChoiceExample]:
        source = _JsonFile(file)
        if not isinstance(source.value, list):
            raise DataError(str(file), "is no list of texts", cure="give C3's own file")
        for entry in source.value:
            if not (
                isinstance(entry, list)
                and len(entry) == 3
                and isinstance(entry[0], list)
                and isinstance(entry[1], list)
            ):
                raise DataError(str(file), "has an entry that is not [lines, questions, id]", got=entry)
            lines, questions, name = entry
            line = source.line_of(name)
            for question in questions:
                text = source.text(question, "question", "a question")
                choices = tuple(str(choice) for choice in source.items(question, "choice", "a question"))
                answer = question.get("answer")
                if answer is not None and answer not in choices:
                    raise DataError(place(file, "", line), f"has an answer to {text!r} that is no choice", got=answer)
                right = None if answer is None else choices.index(answer)
                yield ChoiceExample("\n".join(map(str, lines)), text, choices, right, line)


def find_answer_fault(passage: str, answer: Answer) -> str | None:
    """What is wrong with where an answer is said to stand: another unicode unit, another place, or no place at all."""
    if passage.startswith(answer.text, max(answer.start, 0)) and answer.text and answer.start >= 0:
        return None
    if not answer.text:
        return "is empty"
    unit = _find_unit(passage, answer)
    if unit is not None:
        return f"counts {unit[0]} instead of characters"
    places = find_places(passage, answer.text)
    if not places:
        return "is not in its passage"
    nearest = min(places, key=lambda each: abs(each - answer.start))
    return f"stands {nearest - answer.start:+d} characters from where it is said to"


def mend_answer(passage: str, answer: Answer) -> Answer | None:
    """A misplaced answer where it does stand, None where that is not sure.

    It is sure where its start is right in another unit, or where its text stands in the passage only once.
    """
    if not answer.text:
        return None
    unit = _find_unit(passage, answer)
    if unit is not None:
        return Answer(answer.text, unit[1])
    places = find_places(passage, answer.text)
    return Answer(answer.text, places[0]) if len(places) == 1 else None


def find_places(passage: str, text: str) -> list[int]:
    """Every character at which a text stands in a passage, those that overlap included."""
    places = []
    found = passage.find(text) if text else -1
    while found >= 0:
        places.append(found)
        found = passage.find(text, found + 1)
    return places


def _find_unit(passage: str, answer: Answer) -> tuple[str, int] | None:
    """What the start of an answer counts, where it is not characters, and the character at which it stands."""
    if answer.start < 0:
        return None
    for encoding, width, unit in (("utf-16-le", 2, "UTF-16 units"), ("utf-8", 1, "bytes of UTF-8")):
        data, place = passage.encode(encoding, "surrogatepass"), answer.start * width
        if data[place:].startswith(answer.text.encode(encoding, "surrogatepass")):
            return unit, len(data[:place].decode(encoding, "surrogatepass"))
    # Files lose or gain CR on their way; the starts then still count what was there.
    for start in find_places(passage, answer.text):
        breaks, pairs = passage.count("\n", 0, start), passage.count("\r\n", 0, start)
        if breaks > pairs and start + breaks - pairs == answer.start:
            return "CR LF, where the passage has LF,", start
        if pairs and start - pairs == answer.start:
            return "LF, where the passage has CR LF,", start
    return None


def _read_question(source: _JsonFile, question: object, passage: str) -> QuestionExample:
    name = source.text(question, "id", "a question")
    line = source.line_of(name)
    assert isinstance(question, dict)
    text = source.text(question, "question", f"question {name!r}")
    if "answers" not in question and "is_impossible" not in question:
        return QuestionExample(name, text, passage, None, line)
    answers = []
    if not question.get("is_impossible", False):
        for answer in source.items(question, "answers", f"question {name!r}"):
            surface = source.text(answer, "text", f"an answer to {name!r}")
            assert isinstance(answer, dict)
            start = answer.get("answer_start")
            if not isinstance(start, int) or isinstance(start, bool):
                here = place(source.file, "", line)
                raise DataError(here, f"an answer to {name!r} has no whole number `answer_start`", got=start)
            answers.append(Answer(surface, start))
    return QuestionExample(name, text, passage, tuple(answers), line)


class _JsonFile:
    """A JSON file whose errors name a line."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._text = "\n".join(line.text for line in iterate_whole_lines(file))
        self._searched, self._line = 0, 1
        try:
            self.value: object = json.loads(self._text)
        except json.JSONDecodeError as error:
            here, cure = place(file, "", error.lineno), "save the file again; it may be cut off"
            raise DataError(here, f"is not JSON: {error.msg} at character {error.colno}", cure=cure) from None
        except RecursionError:
            raise DataError(str(file), "is nested too deeply", cure="give a file in the layout of SQuAD") from None

    def line_of(self, name: object) -> int:
        """Where a name stands, looked for behind the last one that was found."""
        found = self._text.find(json.dumps(name, ensure_ascii=False), self._searched)
        if found >= 0:
            self._line += self._text.count("\n", self._searched, found)
            self._searched = found
        return self._line

    def items(self, value: object, key: str, of: str) -> list[object]:
        """The list below a key."""
        found = value.get(key) if isinstance(value, dict) else None
        if not isinstance(found, list):
            cure = "give a file in the layout of SQuAD"
            raise DataError(place(self.file, "", self._line), f"{of} has no list {key!r}", got=found, cure=cure)
        return found

    def text(self, value: object, key: str, of: str) -> str:
        """The text below a key."""
        found = value.get(key) if isinstance(value, dict) else None
        if not isinstance(found, str):
            raise DataError(place(self.file, "", self._line), f"{of} has no text {key!r}", got=found)
        return found
