"""A design as a tree of modules with the shapes of their parameters, read off a model without storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from groundup.errors import ConfigError
from groundup.model.config import ModelConfig
from groundup.model.skeleton import build_skeleton
from groundup.model.transformer import Transformer
from groundup.reporting.content import Module
from groundup.verbs.layout import columns


def build_shape(config: ModelConfig) -> Transformer:
    """The model without storage. ConfigError where a size is beyond what a tensor may have."""
    try:
        return build_skeleton(config)
    except (RuntimeError, OverflowError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError("model", f"cannot be built ({reason})", cure="are its sizes what you meant?") from error


def read_tree(model: Transformer) -> list[Module]:
    """The modules from the embedding to the heads, each with its parents; `blocks.*` stands for all blocks."""
    shapes = {
        name.replace("blocks.0.", "blocks.*.", 1): list(parameter.shape)
        for name, parameter in model.named_parameters()
        if not name.startswith("blocks.") or name.startswith("blocks.0.")
    }
    sizes: dict[str, int] = {}
    own: dict[str, dict[str, list[int]]] = {}
    for name, shape in shapes.items():
        parts = name.split(".")
        for depth in range(1, len(parts)):
            parent = ".".join(parts[:depth])
            if parent == "blocks":
                continue
            sizes[parent] = sizes.get(parent, 0) + torch.Size(shape).numel()
            own.setdefault(parent, {})
        own.setdefault(".".join(parts[:-1]), {})[parts[-1]] = shape
    return [
        {
            "name": name,
            "shapes": own[name],
            "parameters": sizes[name],
            "times": len(model.blocks) if name.startswith("blocks.*") else 1,
        }
        for name in sizes
    ]


def show_tree(modules: Sequence[Module]) -> list[str]:
    """One line a module: its name, the shapes of its parameters, how many they are."""
    rows = []
    for module in modules:
        depth = module["name"].removeprefix("blocks.").count(".")
        name = module["name"].rpartition(".")[2]
        if module["name"] == "blocks.*":
            name = f"blocks (each of {module['times']})"
        rows.append(("  " * depth + name, show_shapes(module["shapes"]), f"{module['parameters']:,}"))
    return columns(rows, "llr")


def show_shapes(shapes: Mapping[str, Sequence[int]]) -> str:
    """`weight 512 x 128  bias 512`."""
    return "  ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in shapes.items())


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
