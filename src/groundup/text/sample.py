"""What stands between text and training: samples of token ids, addressed by number."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Protocol, final, runtime_checkable

import numpy as np
from jaxtyping import Int32, Int64

UNLABELLED: Final = -100
"""Stands for a row without a label: it is predicted but neither trained on nor scored."""


@dataclass(frozen=True)
class Sample:
    """One sequence as the model will see it before any corruption, special tokens included."""

    index: int
    """Its number in its collection: part of the key of every random draw about it."""
    input_ids: Int32[np.ndarray, " length"]
    token_type_ids: Int32[np.ndarray, " length"] | None = None
    """Which text of a pair each token belongs to; None where there is only one."""
    label: int | None = None
    """The class, for tasks that have one; None for text alone or an unlabelled row."""
    num_context: int = 1
    """Leading tokens that are given: a causal objective predicts those after them."""
    sentence_ends: Int32[np.ndarray, " sentences"] | None = None
    """Where each sentence ends, for objectives that make pairs of segments; `input_ids` is then text alone."""
    draw_other: Callable[[float], Sample] | None = None
    """The sample at a share, from 0 to below 1, of all those of other documents, for the same objectives."""
    targets: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What else a task learns of it, by the task's own names."""


@runtime_checkable
class Samples(Protocol):
    """A collection of samples of which only the lengths must be in memory."""

    @property
    def lengths(self) -> Int32[np.ndarray, " samples"]:
        """Tokens that a model reads of each sample, special tokens included: all that planning needs."""
        ...

    @property
    def digest(self) -> str:
        """A hash of the content, recorded with every checkpoint."""
        ...

    @property
    def examples(self) -> Sequence[object]:
        """What the samples were made of, for tasks that score and decode by it; nothing for text alone."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


@dataclass(frozen=True)
class EncodingReport:
    """What became of a table's rows, for `groundup check` and the log."""

    num_rows: int
    num_empty: int
    """Rows whose text is empty or blank: they are kept, as special tokens alone."""
    num_truncated: int
    """Rows longer than the most tokens allowed."""
    tokens_lost: int
    """Tokens cut from them."""
    label_counts: dict[str, int] = field(default_factory=dict)
    """Rows of each label, or entities of each type; unlabelled rows are not in it."""
    notes: tuple[str, ...] = ()
    """What else there is to say of them, in words."""
    warnings: tuple[str, ...] = ()
    """What will count as wrong whatever is learnt, each a sentence that ends with the cure."""
    counts_entities: bool = False
    """Whether entities are counted in `label_counts`."""

    @property
    def cautions(self) -> tuple[str, ...]:
        """What to look at before training: empty texts, and the warnings."""
        if not self.num_empty:
            return self.warnings
        what = "1 text is" if self.num_empty == 1 else f"{self.num_empty:,} texts are"
        return (f"{what} empty, or blank; fill in or remove.", *self.warnings)


@final
@dataclass(frozen=True, eq=False)
class FlatSamples:
    """The encoded rows of a table (implements Samples): one flat array of ids, not one object a row."""

    input_ids: Int32[np.ndarray, " tokens"]
    sizes: Int32[np.ndarray, " rows"]
    """Tokens of each row."""
    report: EncodingReport
    token_type_ids: Int32[np.ndarray, " tokens"] | None = None
    labels: Int64[np.ndarray, " rows"] | None = None
    """The class of each row, UNLABELLED where it has none; None where rows have no classes."""
    contexts: Int32[np.ndarray, " rows"] | None = None
    """`Sample.num_context` of each row; None for 1."""
    label_names: Sequence[str] = ()
    num_unread: int = 0
    """Tokens at the end of each row that are only predicted: 1 for a causal objective."""
    of_rows: Mapping[str, np.ndarray] = field(default_factory=dict)
    """`Sample.targets` of which each row has one entry, by their names: arrays over rows."""
    of_tokens: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Those of which each token has one: arrays over all tokens."""
    examples: Sequence[object] = ()
    """What the rows were made of, for tasks that score and decode by it."""

    @cached_property
    def lengths(self) -> Int32[np.ndarray, " rows"]:
        """Tokens that a model reads of each row."""
        return self.sizes - np.int32(self.num_unread)

    @cached_property
    def digest(self) -> str:
        """Of everything that training sees."""
        content = hashlib.blake2b("\n".join(self.label_names).encode(), digest_size=16)
        named = [targets[name] for targets in (self.of_rows, self.of_tokens) for name in sorted(targets)]
        for array in (self.sizes, self.labels, self.contexts, self.input_ids, self.token_type_ids, *named):
            content.update(b"" if array is None else array.tobytes())
        return content.hexdigest()

    @cached_property
    def _ends(self) -> Int64[np.ndarray, " rows"]:
        return np.cumsum(self.sizes, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        row = slice(int(self._ends[index]) - int(self.sizes[index]), int(self._ends[index]))
        types = None if self.token_type_ids is None else self.token_type_ids[row]
        label = UNLABELLED if self.labels is None else int(self.labels[index])
        context = 1 if self.contexts is None else int(self.contexts[index])
        targets = {name: np.asarray(values[index]) for name, values in self.of_rows.items()}
        targets |= {name: values[row] for name, values in self.of_tokens.items()}
        label = None if label == UNLABELLED else label
        return Sample(index, self.input_ids[row], types, label, context, targets=targets)
