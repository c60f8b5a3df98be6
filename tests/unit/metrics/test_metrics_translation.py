from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sacrebleu import metrics

from groundup.errors import ConfigError, DataError, MissingExtraError
from groundup.metrics.tally import measure, value_of
from groundup.metrics.translation import bleu_tally, chrf_tally


def read_pair(data_folder: Path, language: str) -> tuple[list[str], list[list[str]]]:
    folder = data_folder / "metric_refs/sacrebleu"
    hypotheses, references = (
        (folder / f"{language}.{kind}").read_text(encoding="utf-8").split("\n")[:-1] for kind in ("hyp", "ref")
    )
    return hypotheses, [[reference] for reference in references]


@pytest.mark.parametrize(("language", "words", "other"), [("de", "13a", "none"), ("zh", "zh", "char")])
def test_sacrebleu_is_reproduced_with_its_signature(data_folder: Path, language: str, words: str, other: str) -> None:
    expected = json.loads((data_folder / "metric_refs/sacrebleu/expected.json").read_text())
    tally = bleu_tally(*read_pair(data_folder, language), language)
    official = expected[f"{language}.bleu.{words}"]
    assert value_of(tally) == pytest.approx(official["score"], abs=1e-11)
    assert tally.signature == official["sig"]
    assert abs(value_of(tally) - expected[f"{language}.bleu.{other}"]["score"]) > 1, "another cut must show"


def test_chrf_and_its_words_are_those_of_sacrebleu(data_folder: Path) -> None:
    expected = json.loads((data_folder / "metric_refs/sacrebleu/expected.json").read_text())
    german, chinese = read_pair(data_folder, "de"), read_pair(data_folder, "zh")
    assert value_of(chrf_tally(*german)) == pytest.approx(expected["de.chrf"], abs=1e-11)
    assert value_of(chrf_tally(*german, num_words=2)) == pytest.approx(expected["de.chrf++"], abs=1e-11)
    assert value_of(chrf_tally(*chinese)) == pytest.approx(expected["zh.chrf"], abs=1e-11)
    assert chrf_tally(*german).signature == "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0"


def test_sacrebleu_itself_says_the_same(data_folder: Path) -> None:
    hypotheses, references = read_pair(data_folder, "de")
    generator = np.random.default_rng(0)
    for _ in range(20):
        rows = generator.integers(0, len(hypotheses), 7)
        chosen, true = [hypotheses[row] for row in rows], [[references[row][0], hypotheses[row - 1]] for row in rows]
        streams = [list(stream) for stream in zip(*true, strict=True)]
        assert value_of(bleu_tally(chosen, true, "de")) == pytest.approx(
            metrics.BLEU().corpus_score(chosen, streams).score, abs=1e-10
        )
        assert value_of(chrf_tally(chosen, true)) == pytest.approx(
            metrics.CHRF().corpus_score(chosen, streams).score, abs=1e-10
        )


def test_bleu_by_hand() -> None:
    # 7 words, 5 of them right; 3 of 6 pairs, 1 of 5 triples, none of 4 fours (half a hit); the reference has 8 words.
    tally = bleu_tally(["the cat sat on a red mat"], [["the cat sat upon a big red mat"]], "en")
    precisions = np.array([6 / 7, 3 / 6, 1 / 5, 0.5 / 4])
    assert value_of(tally) == pytest.approx(100 * np.exp(1 - 8 / 7) * np.exp(np.log(precisions).mean()))
    assert value_of(bleu_tally(["x y"], [["a b"]], "en")) == 0.0
    assert value_of(bleu_tally(["a b"], [["a b"]], "en")) == 0.0, "no run of four words at all"
    assert value_of(bleu_tally([""], [["a b c d"]], "en")) == 0.0


def test_the_nearest_of_several_references_gives_the_length() -> None:
    tally = bleu_tally(["a b c d e"], [["a b c d e f g h", "a b c d"]], "en")
    assert value_of(tally) == pytest.approx(100.0)
    assert tally.signature.startswith("nrefs:2|")
    mixed = bleu_tally(["a b c d e", "x"], [["a b c d e"], ["x", "y"]], "en")
    assert mixed.signature.startswith("nrefs:var|")


def test_a_language_without_its_words_is_refused() -> None:
    chinese = [["今天天气很好"]]
    with pytest.raises(ConfigError, match=r"bleu: splits words at spaces.*; set the language to zh"):
        bleu_tally(["今天天气很好"], chinese, "en")
    with pytest.raises(ConfigError, match="bleu: is for Chinese"):
        bleu_tally(["a fine day"], [["a fine day"]], "zh")
    with pytest.raises(ConfigError, match="needs words of ja, which only MeCab can find; score it by chrf"):
        bleu_tally(["今日は"], [["今日は"]], "ja")
    with pytest.raises(ConfigError, match=r"chrf\+\+: splits words at spaces"):
        chrf_tally(["今天"], chinese, num_words=2)
    assert value_of(chrf_tally(["今天天气很好"], chinese)) == pytest.approx(100.0)
    with pytest.raises(DataError, match="differ in number"):
        bleu_tally(["a"], [], "en")
    with pytest.raises(DataError, match="text 0 has no reference"):
        chrf_tally(["a"], [[]])


def test_the_interval_is_over_texts(data_folder: Path) -> None:
    metric = measure({"bleu": bleu_tally(*read_pair(data_folder, "zh"), "zh")}, num_resamples=200)["bleu"]
    assert metric.low < metric.value < metric.high
    assert metric.high - metric.low < 2


def test_without_its_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(MissingExtraError, match=r"sacrebleu.*metrics"):
        bleu_tally(["a"], [["a"]], "en")
