"""Words of English, Chinese and mixed text, by rules, by a dictionary and by jieba."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from groundup import tour
from groundup.errors import ConfigError, DataError, MissingExtraError
from groundup.language import segment
from groundup.language.segment import Dictionary, Jieba, NoSegmenter, Rjieba, Segmenter, SegmenterConfig, find_units

WORDS = ["研究生", "研究", "生命", "起源", "苹果", "手机", "维生素C", "列夫·托尔斯泰", "北京", "大学", "北京大学"]
WORDS += ["大学生", "生活", "C++", "5G", "蘋果", "手機", "電腦", "臺灣", "臺灣大學", "大學", "學生"]


def write(folder: Path, words: list[str], name: str = "words.txt") -> str:
    path = folder / name
    path.write_text("\n".join(words) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def dictionary(tmp_path: Path) -> Segmenter:
    return Dictionary(path=write(tmp_path, WORDS)).build()


def cut(segmenter: Segmenter, text: str) -> list[str]:
    return [text[start:end] for start, end in segmenter.segment(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        (" \n\t\u3000", ""),
        ("It's only 3.14, not 1,000!", "It's|only|3.14|,|not|1,000|!"),
        ("O'Neil’s 'quoted' dogs'", "O'Neil’s|'|quoted|'|dogs|'"),
        ("a well-known x_y", "a|well|-|known|x|_|y"),
        ("3,5,7 v3.14 12:30 95% 1,0000", "3|,|5|,|7|v3.14|12|:|30|95|%|1|,|0000"),
        ("see p.5. Then", "see|p|.|5|.|Then"),
        ("我买了iPhone12和B2B", "我|买|了|iPhone12|和|B2B"),
        ("２０２４年，ＡＢＣ３．１４！", "２０２４|年|，|ＡＢＣ３．１４|！"),
        ("《书》……——", "《|书|》|…|…|—|—"),
        ("cafe\u0301s na\u00efve", "cafe\u0301s|na\u00efve"),
        ("नमस्ते दुनिया", "नमस्ते|दुनिया"),
        ("好\u0301的", "好\u0301|的"),
        ("👍🏽好❤️ok", "👍🏽|好|❤️|ok"),
        ("👨\u200d👩\u200d👧家🇨🇳🇺🇸", "👨\u200d👩\u200d👧|家|🇨🇳|🇺🇸"),
        ("人々〇𠮷", "人|々|〇|𠮷"),
        ("中\udce4\udcb8文", "中|\udce4\udcb8|文"),
    ],
)
def test_units_are_what_needs_no_segmenter(text: str, words: str) -> None:
    assert [text[start:end] for start, end in find_units(text)] == (words.split("|") if words else [])
    assert NoSegmenter().build().segment(text) == find_units(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("研究生命起源", "研究|生命|起源"),  # the longest word first would leave 命 alone: 研究生|命|起源
        ("北京大学生活", "北京大学|生活"),
        ("北京大学生", "北京|大学生"),  # as few words as 北京大学|生, and more even ones
        ("研究 生命", "研究|生命"),
        ("研究\n生", "研究|生"),
        ("我吃蘋果和苹果", "我|吃|蘋果|和|苹果"),
        ("臺灣大學的學生用手機、電腦", "臺灣大學|的|學生|用|手機|、|電腦"),
        ("台灣大学", "台|灣|大学"),
        ("维生素C好，维生素Cat不是", "维生素C|好|，|维|生|素|Cat|不|是"),
        ("列夫·托尔斯泰的C++11和5G手机", "列夫·托尔斯泰|的|C++|11|和|5G|手机"),
        ("Ｃ++ 15Gb", "Ｃ|+|+|15Gb"),
        ("１２部手机😀", "１２|部|手机|😀"),
    ],
)
def test_a_dictionary_finds_its_words(dictionary: Segmenter, text: str, words: str) -> None:
    assert cut(dictionary, text) == words.split("|")


def test_counts_decide_where_every_word_has_one(tmp_path: Path) -> None:
    frequent = ["研究 100 v", "研究生 5", "生命 80", "命 30", "的\t1000"]
    rare = ["研究 1", "研究生 900", "生命 1", "命 900"]
    assert cut(Dictionary(path=write(tmp_path, frequent)).build(), "研究生命的") == ["研究", "生命", "的"]
    assert cut(Dictionary(path=write(tmp_path, rare)).build(), "研究生命的") == ["研究生", "命", "的"]


def test_stretches_between_spaces_do_not_depend_on_each_other(dictionary: Segmenter) -> None:
    parts = ["研究生命起源", "北京大学生", "abc", "维生素C"]
    assert cut(dictionary, " ".join(parts)) == [word for part in parts for word in cut(dictionary, part)]


def test_a_dictionary_is_named_by_its_content(tmp_path: Path) -> None:
    one, same, other = (
        Dictionary(path=write(tmp_path, words, name)).build()
        for words, name in ((["苹果"], "a"), (["苹果"], "b"), (["蘋果"], "c"))
    )
    assert one.name == same.name != other.name
    assert one.name.startswith("dictionary ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"holds no word, got .*; write one word a line"),
        (b"\n \n", "holds no word"),
        ("苹果\n手机 many\n".encode(), r"words.txt:2\): is no word with a count, got '手机 many'"),
        ("苹果 0\n".encode(), r"words.txt:1\): is no word with a count"),
        ("苹果 1 n x\n".encode(), r"words.txt:1\): is no word with a count"),
        ("苹果\n手机\n".encode("gb18030"), r"words.txt:1\): is not utf-8; save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_list_of_words(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    for config in (Dictionary(path=str(path)), Jieba(dictionaries=(str(path),))):
        with pytest.raises(DataError, match=message):
            config.build("objective.segmenter")


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"objective.segmenter.path: cannot be read \(No such file.*nowhere"):
        Dictionary(path=str(tmp_path / "nowhere")).build("objective.segmenter")
    monkeypatch.delenv("NO_SUCH_FOLDER", raising=False)
    with pytest.raises(ConfigError, match="NO_SUCH_FOLDER is not set"):
        Jieba(dictionaries=("${NO_SUCH_FOLDER}/a",)).build()


def test_marks_of_bytes_and_of_windows_are_no_part_of_a_word(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "苹果\r\n手机\r\n".encode())
    assert cut(Dictionary(path=str(path)).build(), "苹果手机") == ["苹果", "手机"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我来到北京清华大学", "我|来到|北京|清华大学"),
        ("研究生命的起源", "研究|生命|的|起源"),
        ("我买了3.14个苹果，花了￥1,000！", "我|买|了|3.14|个|苹果|，|花|了|￥|1,000|！"),
        ("95%的iPhone12手机用C++写", "95|%|的|iPhone12|手机|用|C|+|+|写"),
        ("T恤和CAT恤", "T恤|和|CAT|恤"),
        ("only English: 3.14%", "only|English|:|3.14|%"),
        ("２０２４年５月ＡＢＣ。", "２０２４|年|５|月|ＡＢＣ|。"),
        ("開放中文轉換", "開放|中文|轉換"),
        ("苹果😀好", "苹果|😀|好"),
        ("", ""),
    ],
)
def test_jieba_finds_words_and_leaves_other_scripts_to_the_rules(text: str, words: str) -> None:
    for config in (Jieba, Rjieba):
        assert cut(config().build(), text) == (words.split("|") if words else [])


@pytest.mark.parametrize("config", [Jieba, Rjieba])
def test_jieba_takes_more_words(tmp_path: Path, config: type[Jieba | Rjieba]) -> None:
    text = "他研究阿法狗算法和C++"
    plain, more = config().build(), config(dictionaries=(write(tmp_path, ["阿法狗算法", "C++ 100 nz"]),)).build()
    assert "阿法狗算法" not in cut(plain, text)
    assert cut(more, text) == ["他", "研究", "阿法狗算法", "和", "C++"]
    assert cut(more, "only C++") == ["only", "C++"]
    assert cut(config().build(), text) == cut(plain, text), "what one learnt must not reach another"
    assert more.name.startswith(f"{plain.name} + ")


def test_both_programs_of_jieba_cut_real_sentences_alike() -> None:
    files = (Path(tour.__file__).parent / "sentiment").glob("*.csv")
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [line for line in lines if re.search("[\u4e00-\u9fff]", line)]
    one, other, none = (config().build() for config in (Jieba, Rjieba, NoSegmenter))
    assert len(texts) > 100 and [one.segment(text) for text in texts] == [other.segment(text) for text in texts]
    assert sum(one.segment(text) != none.segment(text) for text in texts) > 100


def test_words_that_jieba_can_never_find_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"dictionaries\.0: jieba can find no such word, got '列夫·托尔斯泰'; .*kind=dic"
    ):
        Jieba(dictionaries=(write(tmp_path, ["苹果", "列夫·托尔斯泰"]),)).build()


def test_a_missing_jieba_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    segment._read_jieba.cache_clear()
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(MissingExtraError, match=r"^objective.segmenter: needs the package 'jieba'; .*groundup\[chin"):
        Jieba().build("objective.segmenter")
    monkeypatch.setitem(sys.modules, "rjieba", None)
    with pytest.raises(MissingExtraError, match=r"^objective.segmenter: needs the package 'rjieba'; .*groundup\[chin"):
        Rjieba().build("objective.segmenter")
    NoSegmenter().build("objective.segmenter")


def test_jieba_says_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    program = (
        "from groundup.language.segment import Jieba\n"
        "text = '我来到北京清华大学'\n"
        "print(*[text[a:b] for a, b in Jieba().build().segment(text)])"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONWARNINGS": "default"}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, "我 来到 北京 清华大学\n", "")
    assert list(tmp_path.iterdir()) == []
    # Its own way to load does both, or this test would see nothing.
    run = subprocess.run(
        [sys.executable, "-c", "import jieba; jieba.lcut('我')"], capture_output=True, text=True, env=environment
    )
    assert "Building prefix dict" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["jieba.cache"]


ODD = ["3.14", "1,000", "e\u0301", "👍🏽", "👨\u200d👩", "\u200b", "\udce4", "々", "𠮷", "ＡＢ", "T恤"]
PARTS = st.sampled_from([*WORDS, *ODD, "研究生命", "abc", "don't", "，", "%", "_", " ", "\n"])


@given(st.lists(st.one_of(PARTS, st.text(max_size=4)), max_size=10).map("".join))
@example("A\u0301\u200d中 \u0301")
def test_words_hold_every_character_that_is_no_space_exactly_once(text: str) -> None:
    for segmenter in (Jieba().build(), RUST, SHARED, NoSegmenter().build()):
        spans = segmenter.segment(text)
        places = [place for start, end in spans for place in range(start, end)]
        assert places == [place for place, char in enumerate(text) if not char.isspace()]
        ends = {end for _, end in find_units(text)}
        assert all(start < end and end in ends for start, end in spans)


RUST = Rjieba().build()
SHARED = Segmenter("words", segment._Paths(dict.fromkeys(WORDS)).join)


def test_settings_are_a_union_by_kind() -> None:
    union = TypeAdapter(SegmenterConfig)
    kinds = {"jieba": Jieba(), "rjieba": Rjieba(), "none": NoSegmenter(), "dictionary": Dictionary(path="a")}
    for kind, config in kinds.items():
        assert union.validate_json(config.model_dump_json()) == config
        assert config.kind == kind
    with pytest.raises(ValidationError):
        union.validate_python({"kind": "pkuseg"})
