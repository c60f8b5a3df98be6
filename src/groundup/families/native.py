"""Designs that no published family can express: our own values under our own names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from groundup.config import parse, to_json
from groundup.errors import ConfigError
from groundup.families.keymap import KeyMap, Rename
from groundup.families.values import default_labels, write_labels
from groundup.model.config import Head, ModelConfig
from groundup.model.head_config import of_decoder

FORMAT_VERSION: Final = 1
"""Raised when a tensor's name or the meaning of a value changes."""


class Native:
    """The format `groundup`: every design, exactly."""

    model_type = "groundup"

    def to_config(
        self, config: Mapping[str, Any], names: Collection[str], heads: Sequence[Head] | None, where: str
    ) -> ModelConfig:
        """The design as it was written, with other heads where they are given."""
        version, design = config.get("format_version"), config.get("design")
        if version != FORMAT_VERSION:
            cure = f"this release reads version {FORMAT_VERSION}"
            raise ConfigError(f"{where}: format_version", "is of another release", got=version, cure=cure)
        if not isinstance(design, Mapping):
            raise ConfigError(f"{where}: design", "must hold the values of a design", got=design)
        if heads is not None:
            adapted = of_decoder(heads) if design.get("causal") else heads
            design = {**design, "heads": [to_json(head) for head in adapted], "pooler": False}
        return parse(ModelConfig, design, where=f"{where}: design")

    def from_config(self, config: ModelConfig) -> dict[str, Any]:
        """The config.json of any design."""
        written = {"model_type": self.model_type, "format_version": FORMAT_VERSION, "design": to_json(config)}
        labelled = next((head for head in config.heads if hasattr(head, "num_labels")), None)
        return written if labelled is None else written | write_labels(default_labels(labelled.num_labels))

    def read_map(self, config: Mapping[str, Any], names: Collection[str]) -> KeyMap:
        """Every name stands for itself."""
        return KeyMap((Rename("{name}", "{name}"),))

    def write_map(self, config: ModelConfig) -> KeyMap:
        """Every name stands for itself."""
        return KeyMap((Rename("{name}", "{name}"),))

    def is_backbone(self, name: str) -> bool:
        """Whether a tensor belongs to the stack itself."""
        return not name.startswith("heads.")

    def settings(self) -> frozenset[str]:
        """The keys of config.json that make the design."""
        return frozenset({"model_type", "format_version", "design", "id2label", "label2id"})


NATIVE: Final = Native()
