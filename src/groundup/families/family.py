"""What a published family is to the rest of the house: values and names, both ways."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from groundup.families.keymap import KeyMap
from groundup.model.config import Encoder, Head, ModelConfig, RotaryPositions, Window


@runtime_checkable
class Family(Protocol):
    """One published family: how its config.json and its tensor names translate."""

    model_type: str
    """What its config.json says in `model_type`."""

    def to_config(
        self, config: Mapping[str, Any], names: Collection[str], heads: Sequence[Head] | None, where: str
    ) -> ModelConfig:
        """The design that a config.json and the names of its folder's tensors describe.

        Args:
            config: the content of config.json.
            names: the names of all tensors of the folder.
            heads: what should stand on top; None for the folder's own heads (and pooler).
            where: the file, for errors.

        Raises:
            ConfigError: a value of the wrong type, or one that would make the arithmetic another than ours.
        """
        ...

    def from_config(self, config: ModelConfig) -> dict[str, Any] | None:
        """The config.json of a design, labels aside; None where the family cannot express the design exactly."""
        ...

    def read_map(self, config: Mapping[str, Any], names: Collection[str]) -> KeyMap:
        """The rules for a folder, by what its config.json and its tensor names say."""
        ...

    def write_map(self, config: ModelConfig) -> KeyMap:
        """The rules for writing a design."""
        ...

    def is_backbone(self, name: str) -> bool:
        """Whether a tensor of theirs belongs to the stack itself, and not to a head."""
        ...

    def settings(self) -> frozenset[str]:
        """The keys of config.json that decide about arithmetic; all others describe."""
        ...


def _canonical_window(window: Window, config: ModelConfig) -> Window:
    is_everywhere = window.layers is None or len(window.layers) == config.num_layers
    is_same = window.base is not None and config.position == RotaryPositions(base=window.base)
    return window.model_copy(
        update={
            "layers": None if is_everywhere else window.layers,
            "base": None if is_same else window.base,
        }
    )


def _canonical_encoder(encoder: Encoder, config: ModelConfig) -> Encoder:
    return Encoder(**{name: value for name, value in encoder if value != getattr(config, name)})


def canonical(config: ModelConfig) -> ModelConfig:
    """The design with what is the same thing said in one way: two that are then equal are the same design."""
    head_dim, dropout = config.resolved_head_dim, config.dropout
    encoder = None if config.encoder is None else _canonical_encoder(config.encoder, config)
    is_usual = head_dim * config.num_heads == config.hidden_size and (encoder is None or encoder.num_heads is None)
    return config.model_copy(
        update={
            "head_dim": None if is_usual else config.head_dim,
            "encoder": encoder,
            "attention_scale": None if config.attention_scale == head_dim**-0.5 else config.attention_scale,
            "num_kv_heads": None if config.num_kv_heads == config.num_heads else config.num_kv_heads,
            "attention_output_bias": config.resolved_attention_output_bias,
            "dropout": dropout.model_copy(update={"attention_output": dropout.resolved_attention_output}),
            "sharing": None if config.num_blocks == config.num_layers else config.sharing,
            "window": None if config.window is None else _canonical_window(config.window, config),
            "norm_places": tuple(sorted(config.norm_places)),
            "heads": tuple(sorted(config.heads, key=lambda head: head.kind)),
            "pooler": config.pooler and not config.model_copy(update={"pooler": False}).has_pooler,
        }
    )
