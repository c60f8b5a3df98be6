"""Chinese data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from groundup.readers.data_set import DataSet, Release
from groundup.readers.formats import ColumnsFormat, Format, MarkedTextFormat, ParallelTagsFormat, TableFormat
from groundup.readers.questions import DialogueChoiceFormat, SquadFormat
from groundup.readers.records import Layout
from groundup.readers.submission import Submission
from groundup.readers.table import Columns

_CLUE = "https://github.com/CLUEbenchmark/CLUE"
_CLUE_CITATION = "Xu et al. 2020, CLUE: A Chinese Language Understanding Evaluation Benchmark, arXiv:2004.05986"
_OBJECTS = Layout(objects=True)
_TOPICS = (
    "finance",
    "realty",
    "stocks",
    "education",
    "science",
    "society",
    "politics",
    "sports",
    "game",
    "entertainment",
)
"""Those of `class.txt`, a line each, of which the rows of the other files have the numbers."""
_TITLES = TableFormat(
    Columns(0, label=1),
    Layout(header=False, delimiter="\t"),
    label_names={str(number): topic for number, topic in enumerate(_TOPICS)},
)
_NEWS = {
    "100": "story",
    "101": "culture",
    "102": "entertainment",
    "103": "sports",
    "104": "finance",
    "106": "house",
    "107": "car",
    "108": "education",
    "109": "technology",
    "110": "military",
    "112": "travel",
    "113": "world",
    "114": "stocks",
    "115": "agriculture",
    "116": "games",
}
_NAMES = {"PER": "person", "ORG": "organisation", "LOC": "place"}
_NLI = {"entailment": "follows", "neutral": "may or may not be", "contradiction": "cannot be"}
_CMRC_METRICS = ("cmrc2018 exact", "cmrc2018 f1")


def _one(format: Format, *files: str) -> tuple[Release, ...]:
    return (Release(files, format),)


def _clue(name: str, table: TableFormat) -> Mapping[str, tuple[Release, ...]]:
    """The splits of a task of CLUE, in the folder that its archive makes or in one of its name."""
    return {
        split: (Release((f"{name}/{file}.json",), table), Release((f"{name}_public/{file}.json",), table))
        for split, file in (("train", "train"), ("validation", "dev"), ("test", "test"))
    }


CHINESE: Final = (
    DataSet(
        "chnsenticorp",
        "ChnSentiCorp: reviews of hotels, computers and books",
        "classification",
        "zh",
        {
            split: _one(TableFormat(Columns("text_a")), f"chnsenticorp/{name}.tsv")
            for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
        },
        ("accuracy",),
        "unclear",
        "https://github.com/dbiir/UER-py/wiki/Datasets",
        "Tan and Zhang 2008, An Empirical Study of Sentiment Analysis for Chinese Documents",
        {"0": "negative", "1": "positive"},
    ),
    DataSet(
        "thucnews",
        "THUCNews: titles of news in ten topics",
        "classification",
        "zh",
        {
            split: _one(_TITLES, f"thucnews_titles/{name}.txt")
            for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
        },
        ("accuracy",),
        "research use",
        "https://github.com/649453932/Chinese-Text-Classification-Pytorch",
        "Li and Sun 2007, Scalable Term Selection for Text Categorization",
        {topic: topic for topic in _TOPICS},
    ),
    DataSet(
        "tnews",
        "TNEWS: short texts of Toutiao in fifteen topics",
        "classification",
        "zh",
        _clue("tnews", TableFormat(Columns("sentence"), _OBJECTS)),
        ("accuracy",),
        "unclear",
        _CLUE,
        _CLUE_CITATION,
        _NEWS,
        submissions=(Submission("tnews11_predict.json", "test", 10_000, "clue"),),
    ),
    DataSet(
        "iflytek",
        "IFLYTEK: descriptions of apps in 119 kinds",
        "classification",
        "zh",
        _clue("iflytek", TableFormat(Columns("sentence"), _OBJECTS)),
        ("accuracy",),
        "unclear",
        _CLUE,
        _CLUE_CITATION,
        {str(number): "as `label_des` of its rows says" for number in range(119)},
        submissions=(Submission("iflytek_predict.json", "test", 2600, "clue"),),
    ),
    DataSet(
        "afqmc",
        "AFQMC: do two questions to a bank ask the same?",
        "pair classification",
        "zh",
        _clue("afqmc", TableFormat(Columns("sentence1", "sentence2"), _OBJECTS)),
        ("accuracy",),
        "unclear",
        _CLUE,
        _CLUE_CITATION,
        {"0": "different", "1": "the same"},
        submissions=(Submission("afqmc_predict.json", "test", 3861, "clue"),),
    ),
    DataSet(
        "ocnli",
        "OCNLI: does a sentence follow from another?",
        "pair classification",
        "zh",
        {
            split: (
                Release(
                    (f"ocnli/{file}.json",), TableFormat(Columns("sentence1", "sentence2"), _OBJECTS, unlabelled="-")
                ),
            )
            for split, file in (("train", "train.50k"), ("validation", "dev"), ("test", "test"))
        },
        ("accuracy",),
        "CC BY-NC 2.0",
        "https://github.com/CLUEbenchmark/OCNLI",
        "Hu et al. 2020, OCNLI: Original Chinese Natural Language Inference, arXiv:2010.05444",
        _NLI,
        submissions=(Submission("ocnli_50k_predict.json", "test", 3000, "clue"),),
        note="Pairs on which annotators did not agree have the label -; they are left out, as their publishers say.",
    ),
    DataSet(
        "cluener",
        "CLUENER2020: names of ten types in news",
        "tagging",
        "zh",
        {
            split: tuple(Release((f"cluener/{name}.{ending}",), MarkedTextFormat()) for ending in ("json", "jsonl"))
            for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
        },
        ("entity macro f1, exact spans",),
        "research use",
        "https://github.com/CLUEbenchmark/CLUENER2020",
        "Xu et al. 2020, CLUENER2020: Fine-grained Named Entity Recognition, arXiv:2001.04351",
        {
            "address": "address",
            "book": "book",
            "company": "company",
            "game": "game",
            "government": "government",
            "movie": "film",
            "name": "person",
            "organization": "organisation",
            "position": "position",
            "scene": "sight",
        },
    ),
    DataSet(
        "msra",
        "MSRA: names in news",
        "tagging",
        "zh",
        {
            "train": (
                Release(("msra_ner/train/sentences.txt", "msra_ner/train/tags.txt"), ParallelTagsFormat()),
                Release(("msra_ner/msra_train_bio",), ColumnsFormat()),
            ),
            "validation": _one(ParallelTagsFormat(), "msra_ner/val/sentences.txt", "msra_ner/val/tags.txt"),
            "test": (
                Release(("msra_ner/test/sentences.txt", "msra_ner/test/tags.txt"), ParallelTagsFormat()),
                Release(("msra_ner/msra_test_bio",), ColumnsFormat()),
            ),
        },
        ("entity f1, strict",),
        "unclear; Microsoft Research Asia, research use",
        "https://github.com/lemonhu/NER-BERT-pytorch",
        "Levow 2006, The Third International Chinese Language Processing Bakeoff",
        _NAMES,
        scheme="iob2",
        aliases=("msra_ner",),
    ),
    DataSet(
        "weibo",
        "Weibo NER: names and nominal mentions in posts",
        "tagging",
        "zh",
        {
            split: (
                Release(
                    (f"weibo_ner/weiboNER_2nd_conll.{name}",), ColumnsFormat(has_positions=True, replaces_broken=True)
                ),
                Release((f"weibo_ner/weiboNER.conll.{name}",), ColumnsFormat(replaces_broken=True)),
            )
            for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
        },
        ("entity f1, strict",),
        "CC BY-SA 3.0",
        "https://github.com/hltcoe/golden-horse",
        "Peng and Dredze 2015, NER for Chinese Social Media with Jointly Trained Embeddings; second version: He and "
        "Sun 2016, arXiv:1611.04234",
        {
            f"{kind}.{how}": f"{meaning}, {what}"
            for kind, meaning in (
                ("PER", "person"),
                ("ORG", "organisation"),
                ("LOC", "place"),
                ("GPE", "political place"),
            )
            for how, what in (("NAM", "named"), ("NOM", "mentioned"))
        },
        scheme="iob2",
        note="Emoji in it are cut into bytes that are no text; each becomes U+FFFD.",
    ),
    DataSet(
        "peoples-daily",
        "People's Daily: names in the newspaper of 1998",
        "tagging",
        "zh",
        {
            split: _one(ColumnsFormat(), f"peoples_daily/example.{name}")
            for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
        },
        ("entity f1, strict",),
        "unclear; Peking University, research use",
        "https://github.com/zjy-ucas/ChineseNER",
        "Yu et al. 2002, The Basic Processing of Contemporary Chinese Corpus at Peking University",
        _NAMES,
        scheme="iob2",
    ),
    DataSet(
        "cmrc2018",
        "CMRC 2018: answers in passages of Wikipedia",
        "question answering",
        "zh",
        {
            split: _one(SquadFormat(), f"cmrc2018/cmrc2018_{name}.json")
            for split, name in (("train", "train"), ("validation", "dev"), ("trial", "trial"))
        },
        _CMRC_METRICS,
        "CC BY-SA 4.0",
        "https://github.com/ymcui/cmrc2018",
        "Cui et al. 2019, A Span-Extraction Dataset for Chinese Machine Reading Comprehension, arXiv:1810.07366",
    ),
    DataSet(
        "drcd",
        "DRCD: answers in passages of Wikipedia, in traditional characters",
        "question answering",
        "zh",
        {
            split: _one(SquadFormat(), f"drcd/DRCD_{name}.json")
            for split, name in (("train", "training"), ("validation", "dev"), ("test", "test"))
        },
        _CMRC_METRICS,
        "CC BY-SA 3.0",
        "https://github.com/DRCKnowledgeTeam/DRCD",
        "Shao et al. 2018, DRCD: a Chinese Machine Reading Comprehension Dataset, arXiv:1806.00920",
    ),
    DataSet(
        "xquad-zh",
        "XQuAD: the Chinese side of parallel questions",
        "question answering",
        "zh",
        {"test": _one(SquadFormat(), "xquad/xquad.zh.json")},
        _CMRC_METRICS,
        "CC BY-SA 4.0",
        "https://github.com/google-deepmind/xquad",
        "Artetxe et al. 2020, On the Cross-lingual Transferability of Monolingual Representations, arXiv:1910.11856",
    ),
    DataSet(
        "c3",
        "C3: free-form questions on dialogues and texts",
        "multiple choice",
        "zh",
        {
            split: _one(DialogueChoiceFormat(), f"c3/m-{name}.json", f"c3/d-{name}.json")
            for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
        },
        ("accuracy",),
        "research use",
        "https://github.com/nlpdata/c3",
        "Sun et al. 2020, Investigating Prior Knowledge for Challenging Chinese Machine Reading Comprehension, "
        "arXiv:1904.09679",
    ),
)
