"""Which files a corpus is made of, and what counts as one document in them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from groundup.config import Config
from groundup.readers.lines import TextEncoding
from groundup.readers.records import Layout


class CorpusFiles(Config):
    """Plain text files, or one column of tsv, csv or jsonl files."""

    train: tuple[str, ...] = Field(min_length=1)
    """Files or globs to learn from; `${NAME}` is from the environment, `hf://datasets/OWNER/NAME/FILE` from the hub."""
    validation: tuple[str, ...] = ()
    """Files or globs to measure on."""
    validation_share: float | None = Field(None, gt=0.0, lt=1.0)
    """In place of `validation`: the last share of all tokens is held out and measured on. Fit for one long text."""
    document: Literal["line", "paragraph", "file", "sentence"] = "line"
    """What a document is; no sample crosses its end. Paragraphs end at a blank line, sentences also at a line's end."""
    sentences_per_document: PositiveInt = 1
    """How many neighbouring sentences of a line make a document of kind `sentence`."""
    sentences: bool = False
    """Whether to note where sentences end, which an objective of sentence pairs needs. Each is then tokenized alone."""
    column: Annotated[str, Field(min_length=1)] | NonNegativeInt | None = None
    """The column of the text in tsv, csv and jsonl files, by name or counted from 0; null for plain text."""
    header: bool = False
    """Whether the first line of a tsv or csv file names its columns."""
    delimiter: str | None = Field(None, min_length=1)
    """What stands between two fields; null: a comma in .csv, a tab in .tsv."""
    quoting: bool | None = None
    """Whether a field may stand in double quotes; null: in .csv yes, elsewhere no."""
    encoding: TextEncoding = "utf-8"
    """The encoding of the files."""
    min_length: PositiveInt = 8
    """Documents and ends of documents with fewer tokens of text than this are left out of training."""
    max_tokens: PositiveInt | None = None
    """Preparation stops where this many tokens are reached; null: at the end of the files."""
    max_validation_tokens: PositiveInt | None = None
    """The same for the validation files: as much of them as every validation is to be measured on."""

    @property
    def has_validation(self) -> bool:
        """Whether there is something to measure on."""
        return bool(self.validation) or self.validation_share is not None

    @property
    def layout(self) -> Layout:
        """How files with columns are written."""
        return Layout(self.header, self.delimiter, self.quoting, None, self.encoding)

    @property
    def settings(self) -> dict[str, object]:
        """What decides the prepared tokens, beside the files and the tokenizer."""
        deciding = CorpusFiles.model_fields.keys() - {
            "train",
            "validation",
            "min_length",
            "max_validation_tokens",
            "validation_share",
        }
        # False is left out, so that folders stay valid that were prepared before there was a choice.
        return self.model_dump(mode="json", include=set(deciding) - (set() if self.sentences else {"sentences"}))

    @model_validator(mode="after")
    def _check_column(self) -> Self:
        if self.validation and self.validation_share is not None:
            raise ValueError("validation_share: is in place of validation files, got both; leave one out")
        if self.column is None and self.header:
            raise ValueError("header: is for files with columns, got true without a column; name the column")
        if self.column is not None and self.document in ("paragraph", "file"):
            raise ValueError(f"document: a column holds lines or sentences, got {self.document!r}; choose line")
        if self.document != "sentence" and self.sentences_per_document != 1:
            raise ValueError(f"sentences_per_document: is for document: sentence, got document: {self.document!r}")
        return self


class Source(CorpusFiles):
    """Other text that is mixed in, such as what a model has learnt before and should not forget."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """What it is called in figures, as in `loss[general]`, and its folder."""
    share: float = Field(gt=0.0, lt=1.0)
    """Of all tokens that are learnt from, those that come from here. A source that is used up starts again."""


class Stage(Config):
    """A part of the run with shorter sequences."""

    until: float = Field(gt=0.0, lt=1.0)
    """The share of all steps at which it ends."""
    max_length: PositiveInt
    """The most tokens of one sequence until then; the sequences of a step grow in number as they shrink."""


class CorpusConfig(CorpusFiles):
    """Text to pretrain on, from one source or several."""

    kind: Literal["corpus"] = "corpus"
    folder: str | None = None
    """Where the prepared tokens are kept; null: in the run folder."""
    others: tuple[Source, ...] = ()
    """Other sources that are mixed in by their shares; the files of `train` give the rest."""
    curriculum: tuple[Stage, ...] = ()
    """Shorter sequences first; after the last stage they have `objective.max_length`."""

    @property
    def sources(self) -> dict[str, CorpusFiles]:
        """Every source by where its settings stand: the files of this section itself first."""
        return {"data": self, **{f"data.others.{number}": source for number, source in enumerate(self.others)}}

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        names = [source.name for source in self.others]
        if len(set(names)) != len(names) or {"train", "validation"} & set(names):
            raise ValueError(f"others: each needs a name of its own, none of them train or validation, got {names}")
        if (total := sum(source.share for source in self.others)) >= 1.0:
            raise ValueError(f"others: the shares must sum to less than 1, the rest is of data.train, got {total:g}")
        return self

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
        for name in ("until", "max_length"):
            values = [getattr(stage, name) for stage in self.curriculum]
            if values != sorted(set(values)):
                raise ValueError(f"curriculum: {name} must grow from stage to stage, got {values}")
        return self
