"""What a design costs that its values do not show: each a rule with the figures that say so."""

from __future__ import annotations

from collections.abc import Iterator

from groundup.figures import format_bytes, format_share
from groundup.model.config import ModelConfig
from groundup.model.estimate import BYTES_OF_WEIGHT, Estimate
from groundup.reporting.content import Cost
from groundup.reporting.texts import TEXTS

_LARGE = 0.25
"""The share of the whole from which a part is worth a sentence."""


def find_costs(
    config: ModelConfig, costs: Estimate, *, length: int, tokens: int, activation_bytes: int, is_cpu: bool
) -> list[Cost]:
    """The sentences that apply to a design trained on sequences of `length` tokens, `tokens` at once.

    Their figures come from the design and the batch alone, but for those of a CPU, which were measured.
    """
    found = [*_of_vocabulary(config, costs, tokens, activation_bytes), *_of_length(config, costs, length)]
    if is_cpu:
        found += _of_cpu(config, costs, length, tokens, activation_bytes)
    return [{"rule": rule, "values": values} for rule, values in found]


def say_cost(cost: Cost) -> str:
    """The sentence in English, for a terminal."""
    return TEXTS[f"cost.{cost['rule']}"][0].format_map(cost["values"])


_Found = Iterator[tuple[str, dict[str, str | int | float]]]


def _of_vocabulary(config: ModelConfig, costs: Estimate, tokens: int, activation_bytes: int) -> _Found:
    has_decoder = any(head.kind in ("masked_lm", "causal_lm") for head in config.heads)
    rows = config.vocab_size * config.hidden_size * (2 if has_decoder and not config.tie_embeddings else 1)
    stack = costs.parameters["attention"] + costs.parameters["feed_forward"]
    if rows > stack:
        yield "vocabulary", {"rows": f"{config.vocab_size:,}", "weights": f"{rows:,}", "stack": f"{stack:,}"}
    if has_decoder and not config.tie_embeddings and rows / 2 > _LARGE * costs.num_parameters:
        yield "untied", {"weights": f"{rows // 2:,}", "share": format_share(rows / 2 / costs.num_parameters)}
    share = costs.forward_flops["heads"] / costs.forward_flops_per_token
    if has_decoder and share > 2 * _LARGE:
        yield "logits", {"share": format_share(share), "size": format_bytes(config.vocab_size * activation_bytes)}


def _of_length(config: ModelConfig, costs: Estimate, length: int) -> _Found:
    if costs.forward_flops["scores"] > costs.forward_flops["projections"]:
        share = format_share(costs.forward_flops["scores"] / costs.forward_flops_per_token)
        yield "scores", {"length": f"{length:,}", "share": share}
    if config.window is not None:
        reach = config.window.size
        if reach >= length - 1:
            yield "window_idle", {"size": f"{reach:,}", "length": f"{length:,}"}
        elif config.window.layers is None and reach * config.num_layers < length - 1:
            told = {"size": f"{reach:,}", "layers": str(config.num_layers), "length": f"{length:,}"}
            yield "window_reach", told | {"reach": f"{reach * config.num_layers:,}"}
    if config.position.kind == "learned" and length < config.max_length:
        yield "positions", {"length": f"{length:,}", "first": f"{length:,}", "last": f"{config.max_length - 1:,}"}
    if costs.cache_values_per_token is not None:
        cache = costs.cache_values_per_token * config.max_length
        if cache > costs.num_parameters * _LARGE:
            size = format_bytes(cache * BYTES_OF_WEIGHT)
            weights = format_bytes(costs.num_parameters * BYTES_OF_WEIGHT)
            yield "cache", {"length": f"{config.max_length:,}", "size": size, "weights": weights}


def _of_cpu(config: ModelConfig, costs: Estimate, length: int, tokens: int, activation_bytes: int) -> _Found:
    if config.dropout.attention:
        kept = config.num_layers * config.num_heads * length * tokens * activation_bytes
        if kept > _LARGE * costs.memory["activations"]:
            share = format_share(kept / costs.memory["activations"])
            yield "attention_dropout", {"share": share, "size": format_bytes(kept)}
    if config.position.kind == "relative_bias":
        kept = config.num_layers * config.num_heads * length * tokens * activation_bytes
        yield "relative_bias", {"size": format_bytes(kept)}
    if config.window is not None and config.window.size < length - 1:
        yield "window_dense", {"size": f"{config.window.size:,}", "length": f"{length:,}"}
    if config.norm.kind == "rms_norm":
        yield "rms_norm", {}
