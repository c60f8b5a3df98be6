"""What tasks on rows of texts or pairs have in common: from rows to packed batches, and the rows in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from groundup.errors import DataError
from groundup.model.transformer import Transformer
from groundup.objectives.packing import pack_samples
from groundup.objectives.protocol import Batch
from groundup.readers.table import Example
from groundup.text.sample import EncodingReport, FlatSamples, Sample
from groundup.text.tokenizer import Tokenizer

_SHOWN_LABELS: Final = 12
"""Known labels that an error names."""
SEPARATORS: Final = ";；|、,，"
"""What often stands between several labels."""


@dataclass(frozen=True)
class EncodedRows:
    """Rows as one flat run of tokens."""

    input_ids: Int32[np.ndarray, " tokens"]
    sizes: Int32[np.ndarray, " rows"]
    token_type_ids: Int32[np.ndarray, " tokens"]
    num_empty: int
    lost: Int32[np.ndarray, " rows"]
    """Tokens cut from each row."""

    def samples(
        self,
        examples: Sequence[Example],
        *,
        labels: Int64[np.ndarray, " rows"] | None = None,
        label_names: Sequence[str] = (),
        label_counts: Mapping[str, int] | None = None,
        of_rows: Mapping[str, np.ndarray] | None = None,
    ) -> FlatSamples:
        """The samples of a task with what it learns of each row; all the rest as in FlatSamples."""
        report = EncodingReport(
            num_rows=len(self.sizes),
            num_empty=self.num_empty,
            num_truncated=int((self.lost > 0).sum()),
            tokens_lost=int(self.lost.sum(dtype=np.int64)),
            label_counts=dict(label_counts or {}),
        )
        return FlatSamples(
            self.input_ids,
            self.sizes,
            report,
            self.token_type_ids,
            labels,
            label_names=tuple(label_names),
            of_rows=of_rows or {},
            examples=examples,
        )


def encode_rows(examples: Sequence[Example], tokenizer: Tokenizer, max_length: int, where: str) -> EncodedRows:
    """Texts and pairs as token ids, in their order; the tokenizer's template adds the special tokens."""
    if not examples:
        raise DataError(where, "holds no row", cure="check the file")
    encoded = tokenizer.encode_batch([_inputs(example) for example in examples], max_length=max_length)
    return EncodedRows(
        input_ids=np.concatenate([each.input_ids for each in encoded]).astype(np.int32, copy=False),
        sizes=np.array([len(each.input_ids) for each in encoded], dtype=np.int32),
        token_type_ids=np.concatenate([each.token_type_ids for each in encoded]).astype(np.int32, copy=False),
        num_empty=sum(not any(text.strip() for text in example.texts) for example in examples),
        lost=np.array([each.num_truncated for each in encoded], dtype=np.int32),
    )


def pack_rows(samples: Sequence[Sample], targets: Mapping[str, Tensor], count: int) -> Batch:
    """The samples end to end with what a task learns of them."""
    numbers = np.array([sample.index for sample in samples], dtype=np.int64)
    return Batch(pack_samples(samples), targets, count, numbers)


def row_logits(model: Transformer, batch: Batch, kind: str = "classification") -> Float[Tensor, "sequences logits"]:
    """What the head says of each sequence, in fp32, or float64 where the model is."""
    logits = model.heads[kind](model.summarize(batch.packed, kind))
    return logits if logits.dtype == torch.float64 else logits.float()


def show_rows(batch: Batch, tokenizer: Tokenizer, answers: Sequence[str]) -> list[str]:
    """Each sequence in words with its answer in front: `[positive] a fine film`."""
    return [
        f"[{answer}] {' '.join(tokenizer.tokens(ids.tolist()))}"
        for ids, answer in zip(batch.packed.split(), answers, strict=True)
    ]


def unlabelled_rows(rows: Sequence[tuple[str, str | None]]) -> list[Example]:
    """Texts or pairs that a user types, as rows without a label."""
    return [Example(text, pair, None, number) for number, (text, pair) in enumerate(rows, start=1)]


def quote_row(example: Example) -> dict[str, object]:
    """The text, and the second one where there is one, as `predict` repeats them."""
    return {"text": example.text} | ({} if example.pair is None else {"pair": example.pair})


def refuse_label(label: str, labels: Sequence[str], where: str) -> DataError:
    """The error for a label that training has not seen, with the nearest one that it has."""
    nearest = get_close_matches(label, labels, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    more = f" and {len(labels) - _SHOWN_LABELS:,} more" if len(labels) > _SHOWN_LABELS else ""
    cure = f"{hint}known labels: {', '.join(labels[:_SHOWN_LABELS])}{more}"
    return DataError(where, "has a label unseen in training", got=label, cure=cure)


def refuse_joined(labels: Sequence[str], where: str) -> None:
    """DataError where labels that were read as one stand for several, because no separator was named."""
    joined = ((label, mark) for label in labels for mark in SEPARATORS if mark in label.strip(mark))
    found = next(joined, None)
    if found is not None:
        label, mark = found
        cure = f'set data.separator="{mark}" if these are several, or take objective.kind=classification'
        raise DataError(where, "has rows of one label each", got=label, cure=cure)


def read_numbers(examples: Sequence[Example], where: str) -> Float[np.ndarray, " rows"]:
    """The label of each row as a number; NaN where it has none. What is no number is a DataError with its line."""
    return np.array([_read_label(example, where) for example in examples], dtype=np.float64)


def read_number(text: str, here: str) -> float:
    """A finite number as people write it. `here` names its line in errors."""
    try:
        number = float(text.replace("_", " "))  # Python's own digit groups are nobody else's
    except ValueError:
        cure = "write it with a dot, without a thousands separator or a unit"
        raise DataError(here, "is no number", got=text, cure=cure) from None
    if not math.isfinite(number):
        raise DataError(here, "is no finite number", got=text, cure="fill it in or remove the row")
    return number


def in_order(measured: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """What was measured of each row, in the order of the rows."""
    return measured[name][np.argsort(measured["sample"], kind="stable")]


def _read_label(example: Example, where: str) -> float:
    if example.label_names is None:
        return math.nan
    here = f"{where}:{example.line}"
    if example.label is None:
        raise DataError(here, "has several labels where one number is needed", got=example.label_names)
    return read_number(example.label, here)


def _inputs(example: Example) -> str | tuple[str, str]:
    return example.text if example.pair is None else (example.text, example.pair)
