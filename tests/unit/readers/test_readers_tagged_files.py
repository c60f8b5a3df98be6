from __future__ import annotations

import json
from pathlib import Path

import pytest

from groundup.errors import DataError
from groundup.readers.examples import Mark, SpanExample, TaggedExample
from groundup.readers.tagged_files import TaggedConfig

EN = TaggedExample(("EU", "rejects", "call"), ("B-ORG", "O", "O"), 1)
ZH = TaggedExample(("北", "京"), ("B-LOC", "I-LOC"), 5)


def read(path: Path, text: str, **settings: object) -> list[TaggedExample | SpanExample]:
    path.write_bytes(text.encode())
    return list(TaggedConfig(train=str(path), **settings).iterate("train"))


def refuse(path: Path, text: str, **settings: object) -> str:
    with pytest.raises(DataError) as caught:
        read(path, text, **settings)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.conll", "a.bio", "a.txt", "a.tsv"])
def test_a_token_a_line(tmp_path: Path, name: str) -> None:
    lines = "EU NNP B-ORG\nrejects VBZ O\ncall NN O\n\n北 - B-LOC\r\n京 - I-LOC\r\n"
    assert read(tmp_path / name, lines) == [EN, ZH]
    assert read(tmp_path / name, lines, tag=1)[0].tags == ("NNP", "VBZ", "NN")
    assert "has no column for the tag" in refuse(tmp_path / name, "EU\n")


def test_a_token_a_row(tmp_path: Path) -> None:
    table = "sentence,token,tag\n1,EU,B-ORG\n1,rejects,O\n1,call,O\n2,北,B-LOC\n2,京,I-LOC\n"
    found = read(tmp_path / "a.csv", table)
    assert [(each.tokens, each.tags) for each in found] == [(each.tokens, each.tags) for each in (EN, ZH)]
    sparse = table.replace("1,rejects", ",rejects").replace("1,call", ",call").replace("2,京", ",京")
    assert read(tmp_path / "a.csv", sparse) == found
    renamed = table.replace("sentence,token,tag", "s,w,t").replace(",", "\t")
    assert read(tmp_path / "a.tsv", renamed, sentence="s", token="w", tag="t", header=True) == found
    assert "did you mean 'token'" in refuse(tmp_path / "a.csv", table, token="tokem")
    assert "has no tag" in refuse(tmp_path / "a.csv", table.replace("I-LOC", ""))
    again = refuse(tmp_path / "a.csv", table + "1,again,O\n")
    assert "a.csv:7): goes on with a sentence that has ended, got '1'" in again


def test_tokens_and_tags_in_json(tmp_path: Path) -> None:
    rows = [{"tokens": list(each.tokens), "ner_tags": list(each.tags)} for each in (EN, ZH)]
    found = read(tmp_path / "a.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    assert [each.tags for each in found] == [EN.tags, ZH.tags]
    assert "as many tags" in refuse(tmp_path / "a.jsonl", '{"tokens": ["a"], "tags": []}')
    assert "no list of words" in refuse(tmp_path / "a.jsonl", '{"tokens": ["a"], "tags": [1]}')
    assert "no tags" in refuse(tmp_path / "a.jsonl", '{"tokens": ["a"]}')


@pytest.mark.parametrize(
    "spans",
    [
        '"spans": [[2, 4, "LOC"]]',
        '"entities": [{"start": 2, "end": 4, "label": "LOC"}]',
        '"spans": [[2, 4, "LOC", "北京"]]',
        '"label": [{"start": 2, "end": 4, "type": "LOC", "text": "北京"}]',
    ],
)
def test_spans_in_json(tmp_path: Path, spans: str) -> None:
    (found,) = read(tmp_path / "a.jsonl", f'{{"text": "😀在北京", {spans}}}'.replace("2, 4", "2, 4"))
    assert found == SpanExample("😀在北京", (Mark(2, 4, "LOC"),), 1)


def test_spans_that_are_none(tmp_path: Path) -> None:
    def told(spans: str) -> str:
        return refuse(tmp_path / "a.jsonl", f'{{"text": "😀 at Rome", "spans": {spans}}}')

    assert "code points" in told('[[5, 10, "LOC"]]')
    assert "UTF-16" in told('[[6, 9, "LOC", "Rome"]]')
    assert "is none" in told("[[5, 9]]") and "is none" in told('[["5", 9, "LOC"]]')
    assert "blanks" in told('[[4, 9, "LOC"]]')
    assert "no spans" in refuse(tmp_path / "a.jsonl", '{"text": "a"}')
    assert "neither" in refuse(tmp_path / "a.jsonl", '{"words_": []}')


def test_text_without_labels_is_read_to_predict(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a b"}\n{"tokens": ["a", "b"]}\n')
    found = list(TaggedConfig(train="x").iterate_file(path))
    assert [(each.text, each.marks) for each in found] == [("a b", None)] * 2
