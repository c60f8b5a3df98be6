"""A design as a tree of modules with the shapes of their parameters, read off a model without storage."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import torch

from groundup.errors import ConfigError
from groundup.model.config import ModelConfig
from groundup.model.skeleton import build_skeleton
from groundup.model.transformer import Stack, Transformer
from groundup.reporting.content import Module
from groundup.reporting.parts import is_block
from groundup.verbs.layout import columns, plural

_BLOCK: Final = re.compile(r"(encoder\.)?blocks\.\d+")


def build_shape(config: ModelConfig) -> Transformer:
    """The model without storage. ConfigError where a size is beyond what a tensor may have."""
    try:
        return build_skeleton(config)
    except (RuntimeError, OverflowError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError("model", f"cannot be built ({reason})", cure="are its sizes what you meant?") from error


def read_tree(model: Transformer) -> list[Module]:
    """The modules from the embedding to the heads, each with its parents; blocks that are alike stand there once."""
    stacks = {"": model} if model.config.encoder is None else {"": model, "encoder.": model.encoder}
    names: dict[str, str | None] = {}
    times: dict[str, int] = {}
    for prefix, stack in stacks.items():
        for name, layers in _group_blocks(stack).items():
            names |= {f"{prefix}blocks.{layer}": None for layer in layers}
            names[f"{prefix}blocks.{layers[0]}"] = f"{prefix}blocks.{name}"
            times[f"{prefix}blocks.{name}"] = len(layers)
    sizes: dict[str, int] = {}
    own: dict[str, dict[str, list[int]]] = {}
    for full, parameter in model.named_parameters():
        block = _BLOCK.match(full)
        place = "" if block is None else names[block[0]]
        if place is None:
            continue
        parts = (full if block is None else place + full.removeprefix(block[0])).split(".")
        for depth in range(1, len(parts)):
            parent = ".".join(parts[:depth])
            if not parent.endswith("blocks"):
                sizes[parent] = sizes.get(parent, 0) + parameter.numel()
                own.setdefault(parent, {})
        own.setdefault(".".join(parts[:-1]), {})[parts[-1]] = list(parameter.shape)
    if "encoder" in sizes:
        sizes["encoder"] = sum(parameter.numel() for parameter in model.encoder.parameters())
    return [
        {"name": name, "shapes": own[name], "parameters": sizes[name], "times": _count(name, times)} for name in sizes
    ]


def _group_blocks(stack: Stack) -> dict[str, list[int]]:
    """The blocks that are alike, by a name: `*` for all, or `0` and `1-11`."""
    layers: dict[tuple[tuple[str, torch.Size], ...], list[int]] = {}
    for number, block in enumerate(stack.blocks):
        shapes = tuple((name, parameter.shape) for name, parameter in block.named_parameters())
        layers.setdefault(shapes, []).append(number)
    names = ["*"] if len(layers) == 1 else [_name_layers(each) for each in layers.values()]
    return dict(zip(names, layers.values(), strict=True))


def _name_layers(layers: Sequence[int]) -> str:
    """`1-11` for neighbours, `0,4` for others."""
    if len(layers) > 1 and layers[-1] - layers[0] == len(layers) - 1:
        return f"{layers[0]}-{layers[-1]}"
    return ",".join(map(str, layers))


def _count(name: str, times: Mapping[str, int]) -> int:
    """How often a module stands in the model: as often as its block."""
    return next((count for block, count in times.items() if name == block or name.startswith(f"{block}.")), 1)


def show_tree(modules: Sequence[Module]) -> list[str]:
    """One line a module: its name, the shapes of its parameters, how many they are."""
    rows = []
    for module in modules:
        depth, name = module["name"].replace("blocks.", "", 1).count("."), module["name"].rpartition(".")[2]
        if is_block(module["name"]):
            which = "" if name == "*" else f" {name}"
            name = f"blocks{which} (each of {module['times']})" if module["times"] > 1 else f"block{which}"
        rows.append(("  " * depth + name, show_shapes(module["shapes"]), f"{module['parameters']:,}"))
    return columns(rows, "llr")


def show_shapes(shapes: Mapping[str, Sequence[int]]) -> str:
    """`weight 512 x 128  bias 512`."""
    return "  ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in shapes.items())


def describe_values(config: ModelConfig) -> Mapping[str, str]:
    """The slots of a design that a table of shapes does not show, those alone that it has."""
    reach = "causal behind a prompt that sees itself" if config.has_prefix else "causal"
    direction = f"decoder ({reach})" if config.causal else "encoder"
    shared = "" if config.sharing is None else f" in {plural(config.num_blocks, 'block')}"
    width = "" if config.embedding_size is None else f" of {config.embedding_size}"
    norm = f"{config.norm.kind} at {', '.join(config.norm_places)}"
    norm += "" if config.first_input_norm else "; not before the first branch"
    feed_forward = f"{config.feed_forward.kind}, {config.feed_forward.activation}"
    dropout = {place: rate for place, rate in config.dropout if rate}
    values = {
        "stack": f"{direction}, {config.num_layers} layers of {config.hidden_size}{shared}",
        "encoder": _say_encoder(config),
        "attention": ", ".join(_list_attention(config)),
        "window": _say_window(config),
        "vocabulary": f"{config.vocab_size:,} entries{width}" + _say_tie(config),
        "positions": f"{config.position.kind}, at most {config.max_length} tokens",
        "norm": norm,
        "feed-forward": f"{feed_forward}, {config.intermediate_size} wide",
        "dropout": ", ".join(f"{place.replace('_', ' ')} {rate:g}" for place, rate in dropout.items()) or "none",
        "heads": ", ".join(_name_head(head) for head in config.heads) or "none",
    }
    return {name: text for name, text in values.items() if text}


def _say_encoder(config: ModelConfig) -> str:
    if config.encoder is None:
        return ""
    own = [f"{name} {value}" for name, value in config.encoder if value is not None]
    return "like the decoder" + (f", but for {', '.join(own)}" if own else "")


def _list_attention(config: ModelConfig) -> Iterator[str]:
    yield f"{config.num_heads} heads of {config.resolved_head_dim}"
    if config.resolved_num_kv_heads != config.num_heads:
        yield f"{config.resolved_num_kv_heads} for keys and values"
    if config.shifted_kv_heads:
        yield f"{config.shifted_kv_heads} with shifted keys"
    if config.qk_norm:
        yield "norms on queries and keys"
    if config.attention_scale is not None:
        yield f"scores times {config.attention_scale:g}"
    if config.query_stream:
        yield "a stream of queries"


def _say_window(config: ModelConfig) -> str:
    if config.window is None:
        return ""
    layers = config.window.layers
    where = "all layers" if layers is None else f"{len(layers)} of {config.num_layers} layers"
    return f"at most {config.window.size} tokens to each side in {where}"


def _say_tie(config: ModelConfig) -> str:
    if not any(head.kind in ("masked_lm", "causal_lm", "permuted_lm") for head in config.heads):
        return ""
    return ", shared with the head" if config.tie_embeddings else ", the head has a matrix of its own"


def _name_head(head: object) -> str:
    size = getattr(head, "num_labels", None)
    return head.kind if size is None else f"{head.kind} ({size} labels)"  # type: ignore[attr-defined]
