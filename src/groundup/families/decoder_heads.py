"""What stands on a decoder in Hugging Face's folders: the language model's head, or classes of its last token."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from groundup.families.keymap import Rename, Rule
from groundup.families.values import (
    Values,
    check_problem,
    default_labels,
    read_causal_head,
    read_labels,
    write_labels,
)
from groundup.model.config import ClassificationHead, Head, ModelConfig
from groundup.model.head_config import of_decoder

DROPOUT: Final = "classifier_dropout"
"""A key of ours beside the family's own where it is not 0: transformers' class has none."""
RULES: Final[tuple[Rule, ...]] = (Rename("score.weight", "heads.classification.linear.weight"),)


@dataclass(frozen=True)
class DecoderClasses:
    """The classes of transformers that a family's folders name."""

    bare: str
    causal: str
    classifier: str

    def read(self, values: Values, names: Collection[str], heads: Sequence[Head] | None) -> tuple[Head, ...]:
        """The heads of a folder, or the given ones as decoders have them.

        Args:
            values: its config.json.
            names: of its tensors.
            heads: what should stand there; None for what the folder has.
        """
        if heads is not None:
            return of_decoder(heads)
        found = read_causal_head(values, names, {self.bare: False, self.causal: True, self.classifier: False})
        if self.classifier not in values.names("architectures"):
            return found
        check_problem(values)
        dropout = 0.0 if values.config.get(DROPOUT) is None else values.number(DROPOUT, 0.0)
        num_labels = len(read_labels(values.config, values.where))
        return (*found, *of_decoder([ClassificationHead(num_labels=num_labels, dropout=dropout)]))

    def write(self, config: ModelConfig) -> dict[str, Any] | None:
        """What config.json says of the heads; None where these classes do not have them."""
        match config.heads:
            case ():
                return {"architectures": [self.bare]}
            case (head,) if head.kind == "causal_lm":
                return {"architectures": [self.causal]}
            case (ClassificationHead() as head,):
                dropout: Mapping[str, Any] = {DROPOUT: head.dropout} if head.dropout else {}
                labels = write_labels(default_labels(head.num_labels))
                return {"architectures": [self.classifier], **labels, **dropout}
        return None
