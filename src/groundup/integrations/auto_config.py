"""The config.json of a groundup design as transformers' config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedConfig

from groundup.config import to_json
from groundup.families.native import FORMAT_VERSION, NATIVE
from groundup.model.config import Head, ModelConfig


class GroundupConfig(PreTrainedConfig):
    """A design with what transformers keeps beside it: the names of classes, the ids of special tokens."""

    model_type = NATIVE.model_type
    has_no_defaults_at_init = True

    def __init__(
        self,
        design: Mapping[str, Any] | None = None,
        format_version: int = FORMAT_VERSION,
        **others: Any,  # of transformers, whose names change with its releases
    ) -> None:
        """ConfigError where there is no design, or one that is none."""
        self.design, self.format_version = design, format_version
        read = self.read_design()
        others.setdefault("pad_token_id", read.padding_id)
        sizes = [head.num_labels for head in read.heads if hasattr(head, "num_labels")]
        if sizes and others.get("id2label") is None:
            others.setdefault("num_labels", sizes[0])
        # The design says itself what is tied, and its modules share that weight.
        super().__init__(**{**others, "tie_word_embeddings": False})

    def read_design(self) -> ModelConfig:
        """The design; ConfigError where it is none, or of another release."""
        content = {"format_version": self.format_version, "design": self.design}
        return NATIVE.to_config(content, (), None, "config.json")

    def take_heads(self, heads: tuple[Head, ...]) -> ModelConfig:
        """The design with these heads alone, which it has from now on; a pooler stays."""
        design = self.read_design()
        has_pooler = design.model_copy(update={"heads": heads, "pooler": False}).has_pooler
        design = design.model_copy(update={"heads": heads, "pooler": design.has_pooler and not has_pooler})
        self.design = to_json(design)
        return self.read_design()

    @property
    def vocab_size(self) -> int:
        """Of the design, under transformers' name as those below."""
        return self.read_design().vocab_size

    @property
    def hidden_size(self) -> int:
        """The width of the residual stream."""
        return self.read_design().hidden_size

    @property
    def num_hidden_layers(self) -> int:
        """Blocks that are passed."""
        return self.read_design().num_layers

    @property
    def num_attention_heads(self) -> int:
        """Query heads."""
        return self.read_design().num_heads

    @property
    def max_position_embeddings(self) -> int:
        """The most tokens of one sequence."""
        return self.read_design().max_length
