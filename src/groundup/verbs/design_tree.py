"""A design as a tree of modules with the shapes of their parameters, read off a model without storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from groundup.errors import ConfigError
from groundup.model.config import ModelConfig
from groundup.model.transformer import Transformer
from groundup.verbs.layout import columns


@dataclass(frozen=True)
class ModuleLine:
    """A module that has parameters of its own, or the parent of such."""

    name: str
    """Its dotted path; `blocks.*` stands for all blocks."""
    shapes: dict[str, tuple[int, ...]]
    """Of its own parameters; empty for a parent."""
    parameters: int
    """Of it and everything below it, in one block where there are several."""
    times: int
    """How often it stands in the model."""


def read_tree(config: ModelConfig) -> tuple[ModuleLine, ...]:
    """The modules from the embedding to the heads. ConfigError where a size is beyond what a tensor may have."""
    try:
        with torch.device("meta"):
            model = Transformer(config)
    except (RuntimeError, OverflowError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError("model", f"cannot be built ({reason})", cure="are its sizes what you meant?") from error
    shapes = {
        name.replace("blocks.0.", "blocks.*.", 1): tuple(parameter.shape)
        for name, parameter in model.named_parameters()
        if not name.startswith("blocks.") or name.startswith("blocks.0.")
    }
    sizes: dict[str, int] = {}
    own: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        parts = name.split(".")
        for depth in range(1, len(parts)):
            parent = ".".join(parts[:depth])
            if parent == "blocks":
                continue
            sizes[parent] = sizes.get(parent, 0) + torch.Size(shape).numel()
            own.setdefault(parent, {})
        own.setdefault(".".join(parts[:-1]), {})[parts[-1]] = shape
    return tuple(
        ModuleLine(name, own[name], sizes[name], config.num_layers if name.startswith("blocks.*") else 1)
        for name in sizes
    )


def show_tree(lines: tuple[ModuleLine, ...]) -> list[str]:
    """One line a module: its name, the shapes of its parameters, how many they are."""
    rows = []
    for line in lines:
        depth = line.name.removeprefix("blocks.").count(".")
        name = line.name.rpartition(".")[2] if line.name != "blocks.*" else f"blocks (each of {line.times})"
        shapes = "  ".join(_show_shape(name, shape) for name, shape in line.shapes.items())
        rows.append(("  " * depth + name, shapes, f"{line.parameters:,}"))
    return columns(rows, "llr")


def describe_values(config: ModelConfig) -> Mapping[str, str]:
    """The slots of a design that a table of shapes does not show."""
    direction = "decoder (causal)" if config.causal else "encoder"
    norm = f"{config.norm.kind} at {', '.join(config.norm_places)}"
    feed_forward = f"{config.feed_forward.kind}, {config.feed_forward.activation}"
    heads = f"{config.num_heads} heads of {config.resolved_head_dim}"
    if config.resolved_num_kv_heads != config.num_heads:
        heads += f", {config.resolved_num_kv_heads} for keys and values"
    if config.shifted_kv_heads:
        heads += f", {config.shifted_kv_heads} with shifted keys"
    drop = config.dropout
    return {
        "stack": f"{direction}, {config.num_layers} layers of {config.hidden_size}, {heads}",
        "vocabulary": f"{config.vocab_size:,} entries" + _say_tie(config),
        "positions": f"{config.position.kind}, at most {config.max_length} tokens",
        "norm": norm,
        "feed-forward": f"{feed_forward}, {config.intermediate_size} wide",
        "dropout": f"embedding {drop.embedding:g}, attention {drop.attention:g}, residual {drop.residual:g}",
        "heads": ", ".join(_name_head(head) for head in config.heads) or "none",
    }


def _say_tie(config: ModelConfig) -> str:
    if not any(head.kind in ("masked_lm", "causal_lm", "permuted_lm") for head in config.heads):
        return ""
    return ", shared with the head" if config.tie_embeddings else ", the head has a matrix of its own"


def _name_head(head: object) -> str:
    size = getattr(head, "num_labels", None)
    return head.kind if size is None else f"{head.kind} ({size} labels)"  # type: ignore[attr-defined]


def _show_shape(name: str, shape: tuple[int, ...]) -> str:
    return f"{name} {' x '.join(map(str, shape))}"
