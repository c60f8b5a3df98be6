from __future__ import annotations

import json
from pathlib import Path

import pytest

from groundup.errors import DataError
from groundup.language.tags import find_schemes
from groundup.readers.data_set import find_split, find_splits
from groundup.readers.examples import Answer, Mark, QuestionExample, TaggedExample, TranslationExample
from groundup.readers.formats import ColumnsFormat, MarkedTextFormat, ParallelTagsFormat, ParallelTextFormat, TreeFormat
from groundup.readers.questions import DialogueChoiceFormat, SquadFormat, find_answer_fault
from groundup.readers.registry import DATA_SETS, get_data_set, read_data_set
from groundup.readers.table import Example

FIXTURES = Path(__file__).parents[2] / "fixtures" / "data"

ASKED_FOR = (
    "cola sst2 mrpc qqp stsb mnli qnli rte wnli sst5 trec conll2003 conll2000 squad1.1 squad2.0 xquad-en xquad-zh"
    " cmrc2018 drcd chnsenticorp tnews iflytek afqmc ocnli cluener msra weibo peoples-daily thucnews multi30k"
)


def read(name: str, split: str) -> list:
    return list(read_data_set(name, split, FIXTURES))


def test_every_data_set_is_described_in_full() -> None:
    assert set(ASKED_FOR.split()) <= set(DATA_SETS)
    for name, data_set in DATA_SETS.items():
        assert name == data_set.name == name.lower()
        for text in (data_set.title, data_set.licence, data_set.citation):
            assert text.strip()
        assert data_set.source.startswith("http")
        assert data_set.metrics and data_set.language in ("en", "zh", "en-de")
        kinds = {release.format.kind for releases in data_set.splits.values() for release in releases}
        assert kinds == {data_set.kind}
        assert (data_set.scheme is not None) == (data_set.kind == "tags")


def test_rows_of_real_data_are_as_many_as_released(data_folder: Path) -> None:
    rows = {
        "cola": {"train": 8551, "validation": 1043, "test": 1063},
        "sst2": {"validation": 872, "test": 1821},
        "mrpc": {"train": 3668, "validation": 408},
        "stsb": {"train": 5749, "validation": 1500, "test": 1379},
        "sst5": {"train": 8544, "validation": 1101},
        "trec": {"train": 5452, "test": 500},
        "conll2003": {"validation": 3250},
        "chnsenticorp": {"train": 9600, "validation": 1200},
        "thucnews": {"validation": 10000},
        "cluener": {"validation": 1343},
        "msra": {"validation": 3000},
        "cmrc2018": {"validation": 3219, "trial": 1002},
        "xquad-en": {"test": 1190},
        "xquad-zh": {"test": 1190},
        "multi30k": {"validation": 1014, "test": 1000},
    }
    for name, expected in rows.items():
        splits = {split.name: split for split in find_splits(get_data_set(name))}
        assert {split: sum(1 for _ in splits[split].read()) for split in expected} == expected, name


def test_labels_of_real_data_are_those_of_the_registry(data_folder: Path) -> None:
    for name, split in (
        ("cola", "validation"),
        ("sst5", "validation"),
        ("trec", "test"),
        ("chnsenticorp", "validation"),
        ("thucnews", "validation"),
    ):
        data_set = get_data_set(name)
        found = {row.label for row in find_split(data_set, split).read()}
        assert found == set(data_set.labels or ()), name
    topics = (data_folder / "thucnews_titles" / "class.txt").read_text(encoding="utf-8").split()
    assert topics == list(get_data_set("thucnews").labels or ()), "the number of a topic is its line there"
    first = next(read_data_set("thucnews", "validation"))
    assert (first.text, first.label) == ("体验2D巅峰 倚天屠龙记十大创新概览", "game")
    types = {mark.type for row in read_data_set("cluener", "validation") for mark in row.marks or ()}
    assert types == set(get_data_set("cluener").labels or ())
    for name in ("conll2003", "msra"):
        tags = [row.tags for row in read_data_set(name, "validation")]
        assert get_data_set(name).scheme in find_schemes(tags)
        assert {tag[2:] for row in tags for tag in row} - {""} == set(get_data_set(name).labels or ())


def test_glue_as_released() -> None:
    assert read("qqp", "train") == [
        Example("How do I bake bread?", "What is the way to bake bread?", "1", 2),
        Example("Where is Lima?", 'Who is "Lima"?', "0", 3),
    ], "the line that is broken off is left out"
    assert read("qqp", "test")[0].label is None
    assert [row.label for row in read("mnli", "train")] == ["entailment"]
    matched = read("mnli", "validation_matched")
    assert [(row.text, row.pair, row.label, row.line) for row in matched] == [
        ("The boat left at dawn.", "The boat left.", "neutral", 3)
    ], "without a gold label it is left out"
    assert read("mnli", "test_mismatched")[0].label is None
    assert [row.label for row in read("qnli", "train")] == ["entailment", "not_entailment"]
    assert read("rte", "validation")[0].pair == "There are mills in the town."
    assert read("wnli", "validation")[0].label == "1"


def test_both_releases_of_sst5_and_trec() -> None:
    assert read("sst5", "train") == [Example("A fine film", None, "3", 1), Example("Not ( again", None, "0", 2)]
    assert read("trec", "train") == [
        Example("How do clouds form ?", None, "DESC", 1),
        Example("Who wrote Fiancée in 1890 ?", None, "HUM", 2),
    ]


def test_tags_as_released() -> None:
    assert read("conll2000", "train")[1] == TaggedExample(("Two", "mills", "closed"), ("B-NP", "I-NP", "B-VP"), 7)
    weibo = read("weibo", "train")
    assert weibo[0].tokens == ("我", "在", "南", "京", "\ufffd\ufffd\ufffd"), "the places in words are no text"
    assert weibo[1].tags == ("B-PER.NOM", "I-PER.NOM", "O")
    assert read("weibo", "validation")[0].tokens == ("今", "天")
    assert [row.line for row in read("peoples-daily", "validation")] == [1, 6]
    assert read("msra", "train")[0].tags == ("B-LOC", "I-LOC", "O")


def test_documents_of_conll2003_begin_no_sentence(tmp_path: Path) -> None:
    file = tmp_path / "eng.testb"
    file.write_text("-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\r\n\r\n-DOCSTART- -X- -X- O\n\nIt PRP I-NP O\n")
    assert [row.tokens for row in find_split(get_data_set("conll2003"), "test", tmp_path).read()] == [("EU",), ("It",)]


def test_questions_as_released() -> None:
    passage = "The mill was built in 1820 by two brothers."
    assert read("squad1.1", "validation") == [
        QuestionExample("a1", "When was it built?", passage, (Answer("1820", 22), Answer("in 1820", 19)), 1)
    ]
    assert [row.answers for row in read("squad2.0", "validation")] == [(Answer("two brothers", 30),), ()]
    (drcd,) = read("drcd", "validation")
    assert drcd.answers == (Answer("1820年", 6),)
    assert drcd.line == 13
    assert all(find_answer_fault(row.passage, answer) is None for row in [drcd] for answer in row.answers)


def test_clue_as_released() -> None:
    assert [row.label for row in read("tnews", "train")] == ["108", "103"]
    assert read("tnews", "test")[0].label is None
    assert read("iflytek", "validation")[0].label == "110"
    assert read("afqmc", "validation")[0].pair == "可以提前还清吗"
    assert [row.label for row in read("ocnli", "validation")] == ["entailment"]
    (marked,) = read("cluener", "train")
    assert marked.marks == (Mark(0, 2, "name"), Mark(3, 5, "address"), Mark(3, 7, "organization")), "nested"
    assert [marked.text[mark.start : mark.end] for mark in marked.marks] == ["张三", "北京", "北京大学"]
    assert read("cluener", "test")[0].marks is None


def test_choices_and_translations(tmp_path: Path) -> None:
    texts, dialogue = read("c3", "validation")
    assert (texts.choices[texts.answer or 0], dialogue.context, dialogue.answer) == (
        "河边",
        "男：几点开门？\n女：八点。",
        1,
    )
    (swag,) = read("swag", "validation")
    assert (swag.question, swag.choices[0], swag.answer) == ("He", "looks into the pot, smiling.", 0)
    for name, text in (("a.en", "one\n\n"), ("a.de", "eins\nzwei\n")):
        (tmp_path / name).write_text(text)
    pairs = list(ParallelTextFormat().read([tmp_path / "a.en", tmp_path / "a.de"]))
    assert pairs == [TranslationExample("one", "eins", 1), TranslationExample("", "zwei", 2)]


COLUMN = r"a\.txt:2: has no column for the tag, got 'rejects VBZ'"
SURFACE = '{"text": "abc", "label": {"x": {"b": [[0, 0]]}}}'
BAD_ID = '{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": 3}]}]}]}'
BAD_CHOICE = '[[["x"], [{"question": "q", "choice": ["a"], "answer": "b"}], "n"]]'


@pytest.mark.parametrize(
    ("form", "text", "words"),
    [
        (ColumnsFormat(tag=3), "EU NNP I-NP I-ORG\nrejects VBZ\n", COLUMN),
        (ColumnsFormat(), "EU\n", r"a\.txt:1: has no column"),
        (TreeFormat(), "(3 (2 a)\n", r"a\.txt:1: is no tree"),
        (MarkedTextFormat(), SURFACE, r"a\.txt:1: has at 0 to 0 another text"),
        (MarkedTextFormat(), '{"text": "abc", "label": {"x": [1]}}', r"a\.txt:1: has a label 'x' that is no object"),
        (MarkedTextFormat(), '{"text": "abc", "label": {"x": {"b": [[1]]}}}', "no first and last character for 'b'"),
        (MarkedTextFormat(), '\n{"txt": "abc"}', r"a\.txt:2: has no text"),
        (SquadFormat(), '{\n"data": [\n', r"a\.txt:2: is not JSON"),
        (SquadFormat(), '{"data": {}}', "the file has no list 'data'"),
        (SquadFormat(), BAD_ID, "a question has no text 'id', got 3"),
        (DialogueChoiceFormat(), BAD_CHOICE, "that is no choice, got 'b'"),
        (DialogueChoiceFormat(), "{}", "is no list of texts"),
    ],
)
def test_errors_name_the_file_and_the_line(form: object, text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        list(form.read([file]))


def test_an_answer_without_a_start_is_named_with_its_line(tmp_path: Path) -> None:
    question = {"id": "q7", "question": "?", "answers": [{"text": "x", "answer_start": "3"}]}
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": "x", "qas": [question]}]}]}, indent=1))
    with pytest.raises(DataError, match=r"a\.json:9: an answer to 'q7' has no whole number `answer_start`, got '3'"):
        list(SquadFormat().read([file]))


def test_files_side_by_side_must_match(tmp_path: Path) -> None:
    files = [tmp_path / "sentences.txt", tmp_path / "tags.txt"]
    for file, text in zip(files, ("a b\nc\n", "O O\nO O\n"), strict=True):
        file.write_text(text)
    with pytest.raises(
        DataError, match=r"tags\.txt:2: has not as many tags as sentences\.txt has tokens, got \(1, 2\)"
    ):
        list(ParallelTagsFormat().read(files))
    files[1].write_text("O O\n")
    with pytest.raises(DataError, match=r"tags\.txt:2: is missing"):
        list(ParallelTagsFormat().read(files))
    files[1].write_text("O O\nO\nO\n")
    with pytest.raises(DataError, match=r"tags\.txt:3: is too much"):
        list(ParallelTagsFormat().read(files))


def test_offsets_in_other_units_are_told_apart() -> None:
    passage = "😀é 答案在这里"
    assert find_answer_fault(passage, Answer("答案", 3)) is None
    assert find_answer_fault(passage, Answer("答案", 4)) == "counts UTF-16 units instead of characters"
    assert find_answer_fault(passage, Answer("答案", 7)) == "counts bytes of UTF-8 instead of characters"
    assert find_answer_fault(passage, Answer("答案", 5)) == "stands -2 characters from where it is said to"
    assert find_answer_fault(passage, Answer("答", -1)) == "stands +4 characters from where it is said to"
    assert find_answer_fault(passage, Answer("不在", 3)) == "is not in its passage"
    assert find_answer_fault("abc", Answer("abc", 0)) is None


def test_faults_of_real_answers_are_found(data_folder: Path) -> None:
    faults = [
        find_answer_fault(row.passage, answer)
        for row in read_data_set("cmrc2018", "validation")
        for answer in row.answers or ()
    ]
    assert faults.count("counts UTF-16 units instead of characters") == 7
    assert faults.count("is not in its passage") == 193
    for name in ("xquad-en", "xquad-zh"):
        rows = list(read_data_set(name, "test"))
        assert not any(find_answer_fault(row.passage, answer) for row in rows for answer in row.answers or ())


def test_what_is_not_there_is_said_with_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DataError, match=r"drcd: has none of its files.*put drcd/DRCD_training\.json there; get it from http"
    ):
        read_data_set("drcd", "train", tmp_path)
    with pytest.raises(
        DataError, match=r"drcd\.train: is not there.*it is drcd/DRCD_training\.json; found: validation"
    ):
        read_data_set("drcd", "train", FIXTURES)
    with pytest.raises(DataError, match="no such split, got 'dev'; splits are train, validation, test"):
        read_data_set("drcd", "dev", FIXTURES)
    with pytest.raises(DataError, match="is unknown, got 'cmrc2019'; did you mean 'cmrc2018'"):
        get_data_set("cmrc2019")
    monkeypatch.delenv("GROUNDUP_DATA", raising=False)
    with pytest.raises(DataError, match="GROUNDUP_DATA: is not set"):
        read_data_set("drcd", "train")
    with pytest.raises(DataError, match="folder: is no folder"):
        read_data_set("drcd", "train", tmp_path / "none")


def test_a_folder_given_may_be_that_of_the_data_set_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.txt").write_text("a NN B-NP\n")
    assert [row.tokens for row in read_data_set("conll2000", "train", tmp_path)] == [("a",)]
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path))
    with pytest.raises(DataError, match="has none of its files"):
        read_data_set("conll2000", "train")
    assert get_data_set("SST-2").name == "sst2"


def test_submissions_are_as_their_benchmarks_take_them() -> None:
    (rte,), (stsb,), (tnews,) = (DATA_SETS[name].submissions for name in ("rte", "stsb", "tnews"))
    assert rte.write(["entailment", "not_entailment"]) == "index\tprediction\n0\tentailment\n1\tnot_entailment\n"
    assert rte.write(["entailment"], 7) == "7\tentailment\n"
    assert stsb.write([3.14159, 5.2, -1.0]) == "index\tprediction\n0\t3.142\n1\t5.000\n2\t0.000\n"
    assert tnews.write(["108", "103"], 4) == '{"id": 4, "label": "108"}\n{"id": 5, "label": "103"}\n'


def test_every_benchmark_file_answers_a_split_that_is_there() -> None:
    files = {each.file: name for name, data_set in DATA_SETS.items() for each in data_set.submissions}
    glue = ("CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI-m", "MNLI-mm", "QNLI", "RTE", "WNLI", "AX")
    assert {file for file in files if file.endswith(".tsv")} == {f"{name}.tsv" for name in glue}
    assert {file for file in files if file.endswith(".json")} == {
        f"{name}_predict.json" for name in ("tnews11", "iflytek", "afqmc", "ocnli_50k")
    }
    for file, name in files.items():
        data_set = DATA_SETS[name]
        (submission,) = (each for each in data_set.submissions if each.file == file)
        assert submission.split in data_set.splits
        assert (submission.bounds is None) == (data_set.task != "regression")
        assert submission.bounds is not None or data_set.labels
        assert submission.learnt is None or data_set.labels == DATA_SETS[submission.learnt].labels
