from __future__ import annotations

import pytest

from groundup.language.question_types import QUESTION_TYPES, find_question_type

QUESTIONS = {
    "who": ["Who wrote it?", "For whom was the song?", "谁写了这首诗？", "《战国无双3》是由哪位导演拍的？"],
    "when": ["When did it end?", "In what year was he born?", "他什么时候出生？", "该校成立于哪一年？", "何时开工？"],
    "where": ["Where is the river?", "In which city did the man who won live?", "他出生在哪里？", "位于什么地方？"],
    "why": ["Why did it fail?", "为什么失败？", "他因何故离开？"],
    "how many": ["How many points were won?", "How old is she?", "有多少人参加？", "桥有多长？", "共有几个车站？"],
    "how": ["How is it made?", "如何制作？", "这是怎么发生的？"],
    "which": ["Which team won?", "哪支球队赢了？"],
    "what": ["What is it called?", "它叫什么名字？", "该词是何意思？"],
    "other": ["Name the river.", "请写出这条河的名字。"],
}


@pytest.mark.parametrize("name", QUESTION_TYPES)
def test_questions_are_of_their_type(name: str) -> None:
    assert {question: find_question_type(question) for question in QUESTIONS[name]} == dict.fromkeys(
        QUESTIONS[name], name
    )
