"""What a design costs, from its values alone: parameters exactly, FLOPs and memory by kind, before a tensor exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundup.model.config import Head, ModelConfig
from groundup.model.generator import shrink
from groundup.model.head_config import count_logits

BYTES_OF_WEIGHT = 4
"""Weights, gradients, optimizer state and caches are fp32, whatever the products of training are computed in."""


@dataclass(frozen=True)
class Estimate:
    """The costs of a design on a given batch. A multiplication and an addition are two FLOPs."""

    parameters: dict[str, int]
    """Trainable numbers by part: embedding, attention, feed_forward, norms, pooler, heads. Exact."""
    forward_flops: dict[str, float]
    """Of one forward pass, per token of the batch, by part: projections and scores (the two halves of attention: what
    every token costs, and what grows with the length of its sequence), feed_forward, pooler, heads; embedding where
    it is mapped to another width; encoder and cross_attention where there is an encoder."""
    memory: dict[str, int]
    """Bytes by kind while training: weights, gradients, optimizer, activations. Activations are an estimate."""
    cache_values_per_token: int | None
    """Numbers that a decoder keeps of each token it has read or written, over all layers; None for an encoder."""

    @property
    def num_parameters(self) -> int:
        """All trainable numbers; a tied matrix counts once."""
        return sum(self.parameters.values())

    @property
    def forward_flops_per_token(self) -> float:
        """Matrix products and attention of one forward pass."""
        return sum(self.forward_flops.values())

    @property
    def training_flops_per_token(self) -> float:
        """Forward and backward: three times the forward."""
        return 3 * self.forward_flops_per_token

    @property
    def total_memory(self) -> int:
        """Bytes while training; the libraries themselves come on top."""
        return sum(self.memory.values())


def estimate(
    config: ModelConfig,
    *,
    batch_tokens: int,
    lengths: Sequence[int] | None = None,
    source_lengths: Sequence[int] | None = None,
    target_fraction: float = 1.0,
    optimizer_values: int | None = None,
    activation_bytes: int = 4,
    is_fused: bool = True,
) -> Estimate:
    """What training a design on micro-batches of `batch_tokens` costs.

    Args:
        config: the design.
        batch_tokens: tokens computed at once.
        lengths: tokens of typical sequences, for attention; None means all have `max_length`.
        source_lengths: of an encoder-decoder, tokens of their sources, which `batch_tokens` does not count; None means
            as many.
        target_fraction: the part of the tokens that a language-model head is computed on (the masking rate).
            Heads on a part of the tokens spare the last block what comes after attention on the others.
        optimizer_values: numbers that the optimizer keeps; None for two a parameter, as AdamW does.
        activation_bytes: bytes of an activation (fp32: 4, bf16: 2).
        is_fused: whether attention runs without a stored probability per pair of tokens (flash kernels; on a CPU only
            without attention dropout).
    """
    lengths = [config.max_length] if lengths is None else lengths
    sources = lengths if source_lengths is None else source_lengths
    parameters = count_parameters(config)
    forward = _forward_flops(config, lengths, sources, target_fraction)
    weights = BYTES_OF_WEIGHT * sum(parameters.values())
    values = batch_tokens * _values_per_token(config, lengths, sources, target_fraction, is_fused)
    memory = {
        "weights": weights,
        "gradients": weights,
        "optimizer": 2 * weights if optimizer_values is None else BYTES_OF_WEIGHT * optimizer_values,
        "activations": round(values * activation_bytes),
    }
    return Estimate(parameters, forward, memory, count_cached(config))


def count_cached(config: ModelConfig) -> int | None:
    """Keys and values that a decoder keeps of one token; None for an encoder, which keeps nothing."""
    return 2 * _attention_widths(config)[1] * config.num_layers if config.causal else None


def count_parameters(config: ModelConfig) -> dict[str, int]:
    """Trainable numbers by part, equal to those of the built model."""
    hidden = config.hidden_size
    parts = {"embedding": config.vocab_size * config.resolved_embedding_size + _position_size(config)}
    if config.encoder is not None:
        encoder = config.of_encoder
        parts["encoder"] = _position_size(encoder) + sum(_block_sizes(encoder).values())
        parts["cross_attention"] = config.num_blocks * _attention_size(config)
    return {
        **parts,
        **_block_sizes(config),
        "pooler": hidden * (hidden + 1) if config.has_pooler else 0,
        "heads": sum(_head_size(config, head) for head in config.heads),
    }


def _position_size(config: ModelConfig) -> int:
    """What an embedding has beside its tokens, norms aside."""
    rows, biases = config.num_token_types + config.query_stream, 0
    if config.position.kind == "learned":
        rows += config.max_length + config.position.offset
    if config.position.kind == "relative_bias":
        biases = config.position.num_buckets * config.num_heads
    size = config.resolved_embedding_size
    projection = 0 if config.embedding_size is None else (size + 1) * config.hidden_size
    return rows * size + biases + projection


def _block_sizes(config: ModelConfig) -> dict[str, int]:
    """The blocks of a stack and all norms, without cross-attention."""
    branches = 2 if config.encoder is None else 3
    branch_norms = sum(place in ("input", "output", "residual") for place in config.norm_places)
    num_norms = branches * branch_norms * config.num_blocks + ("final" in config.norm_places)
    num_head_norms = 2 * (branches - 1) * config.num_blocks if config.qk_norm else 0
    norms = [
        (num_norms - (not config.first_input_norm)) * _norm_size(config, config.hidden_size),
        ("embedding" in config.norm_places) * _norm_size(config, config.resolved_embedding_size),
        num_head_norms * _norm_size(config, config.resolved_head_dim),
    ]
    return {
        "attention": config.num_blocks * _attention_size(config),
        "feed_forward": config.num_blocks * _feed_forward_size(config),
        "norms": sum(norms),
    }


def _norm_size(config: ModelConfig, width: int) -> int:
    has_bias = config.norm.kind == "layer_norm" and config.norm.bias
    return width * (2 if has_bias else 1)


def _attention_widths(config: ModelConfig) -> tuple[int, int]:
    """The width of all query heads, and of all key heads."""
    return config.num_heads * config.resolved_head_dim, config.resolved_num_kv_heads * config.resolved_head_dim


def _attention_size(config: ModelConfig) -> int:
    width, kv_width = _attention_widths(config)
    bias = width + 2 * kv_width if config.attention_bias else 0
    bias += config.hidden_size if config.resolved_attention_output_bias else 0
    size = config.hidden_size * 2 * (width + kv_width) + bias
    if config.position.kind == "relative":
        size += config.hidden_size * width + (5 if config.position.segments else 2) * width
    return size


def _feed_forward_size(config: ModelConfig) -> int:
    num_up = 2 if config.feed_forward.kind == "gated" else 1
    bias = num_up * config.intermediate_size + config.hidden_size if config.feed_forward_bias else 0
    return (num_up + 1) * config.hidden_size * config.intermediate_size + bias


def _head_size(config: ModelConfig, head: Head) -> int:
    hidden, size = config.hidden_size, config.resolved_embedding_size
    if head.kind == "generator":
        generator = shrink(config, head)
        own = sum(_block_sizes(generator).values()) + _position_size(generator)
        return own + sum(_head_size(generator, each) for each in generator.heads)
    if head.kind == "masked_lm":
        dense = (hidden + head.dense_bias) * size + _norm_size(config, size)
        return dense + _decoder_size(config, size, head.bias)
    if head.kind in ("causal_lm", "permuted_lm"):
        return _decoder_size(config, hidden, head.bias)
    if head.kind == "biaffine":
        return 2 * (hidden + 1) * head.size + count_logits(head) * (head.size**2 + 2 * head.size + 1)
    transform = getattr(head, "transform", None)
    own = 0 if transform is None else (hidden + transform.bias) * hidden + transform.norm * _norm_size(config, hidden)
    chain = count_logits(head) * (count_logits(head) + 2) if head.kind == "token" and head.chain else 0
    return own + (hidden + getattr(head, "bias", True)) * count_logits(head) + chain


def _decoder_size(config: ModelConfig, width: int, has_bias: bool) -> int:
    own = 0 if config.tie_embeddings else config.vocab_size * width
    return own + (config.vocab_size if has_bias else 0)


def _forward_flops(
    config: ModelConfig, lengths: Sequence[int], sources: Sequence[int], target_fraction: float
) -> dict[str, float]:
    """Per token: two for every weight it meets in a product, and attention over the keys that it may see.

    Of an encoder-decoder the tokens are the decoder's, and what is computed of their sources is added to them.
    """
    sequences_per_token = len(lengths) / sum(lengths)
    queries, asked = (
        _queries_per_token(config, target_fraction),
        _asked_share(config, sequences_per_token, target_fraction),
    )
    parts = _stack_flops(config, lengths, queries, asked)
    if config.encoder is not None:
        width, kv_width = _attention_widths(config)
        ratio = sum(sources) / sum(lengths)
        parts["encoder"] = ratio * sum(_stack_flops(config.of_encoder, sources, 0.0, 1.0).values())
        # All of the decoder's attention to itself is needed here; what comes after stands in the last block's share.
        parts["projections"] += (1 - asked) * 2 * config.hidden_size * width
        products = config.num_layers * (width + 2 * kv_width * ratio) + (config.num_layers - 1 + asked) * width
        scores = config.num_layers * 4 * _mean_keys(lengths, sources) * width
        parts["cross_attention"] = 2 * config.hidden_size * products + scores
    parts["pooler"] = sequences_per_token * 2 * config.hidden_size**2 if config.has_pooler else 0.0
    of_heads = [_head_flops(config, head, lengths, target_fraction) for head in config.heads]
    parts["heads"] = sum(of_heads, 0.0)
    return parts


def _stack_flops(config: ModelConfig, lengths: Sequence[int], queries: float, asked: float) -> dict[str, float]:
    """The blocks of a stack, without cross-attention. Of the last one `asked` is computed after its attention."""
    width, kv_width = _attention_widths(config)
    num_up = 2 if config.feed_forward.kind == "gated" else 1
    layers, after = config.num_layers, (config.num_layers - 1) * (1 + queries) + asked
    # How long prefixes are is not known here: all of a sequence is counted, which the kernel computes under its mask.
    is_causal = config.causal and not config.has_prefix
    seen = [_mean_seen(lengths, config.window_of(layer), is_causal) for layer in range(layers)]
    searching = layers * (1 + queries)
    if _is_summarized(config):
        # The last block has one query for each sequence.
        seen[-1], searching = 1.0, layers - 1 + asked
    keys = sum(seen)
    scores = 4.0 * (1 + queries) * keys * width
    if config.position.kind == "relative":
        # Every row meets the waves of about twice as many distances as it has keys, and each wave is projected.
        waves = layers * (2 * max(lengths) - 1) / sum(lengths)
        scores += 4 * (1 + queries) * keys * width + waves * 2 * config.hidden_size * width
    parts = {
        "projections": 2.0 * config.hidden_size * ((searching + after) * width + 2 * layers * kv_width),
        "scores": scores,
        "feed_forward": 2.0 * config.hidden_size * after * (num_up + 1) * config.intermediate_size,
    }
    if config.embedding_size is not None:
        parts["embedding"] = 2.0 * (1 + queries) * config.embedding_size * config.hidden_size
    return parts


def _queries_per_token(config: ModelConfig, target_fraction: float) -> float:
    """Rows of the query stream, which goes through all blocks beside the tokens."""
    return target_fraction if any(head.kind == "permuted_lm" for head in config.heads) else 0.0


def _asked_share(config: ModelConfig, sequences_per_token: float, target_fraction: float) -> float:
    """The share of tokens whose final hidden state some head asks for: what the last block computes after attention."""
    asked = [
        1.0 if getattr(head, "pooling", None) == "mean" else _share_of(head, sequences_per_token, target_fraction)
        for head in config.heads
    ]
    return max(asked, default=1.0)


def _is_summarized(config: ModelConfig) -> bool:
    """Whether nothing but one token of each sequence is asked for, and what it sees is the sequence."""
    poolings = {getattr(head, "pooling", "mean") for head in config.heads}
    poolings = {config.pooled if pooling == "pooler" else pooling for pooling in poolings}
    sees_all = poolings == {"last"} or (poolings == {"first"} and not config.causal)
    is_plain = config.position.kind not in ("relative", "relative_bias") and not config.has_prefix
    return sees_all and is_plain and config.encoder is None and config.window_of(config.num_layers - 1) is None


def _share_of(head: Head, sequences_per_token: float, target_fraction: float) -> float:
    """How often a head is computed, per token of the batch."""
    if head.kind in ("masked_lm", "causal_lm", "permuted_lm"):
        return target_fraction
    return sequences_per_token if hasattr(head, "pooling") else 1.0


def _head_flops(config: ModelConfig, head: Head, lengths: Sequence[int], target_fraction: float) -> float:
    hidden, size = config.hidden_size, config.resolved_embedding_size
    match head.kind:
        case "generator":
            generator = shrink(config, head)
            own = sum(_stack_flops(generator, lengths, 0.0, target_fraction).values())
            return own + sum(_head_flops(generator, each, lengths, target_fraction) for each in generator.heads)
        case "masked_lm":
            products = hidden * size + size * config.vocab_size
        case "causal_lm" | "permuted_lm":
            products = hidden * config.vocab_size
        case "biaffine":
            # As if a span could be as long as its sequence: the task may know a bound.
            of_starts = count_logits(head) * (head.size + 1 + max(lengths))
            products = head.size * (2 * hidden + of_starts)
        case _:
            has_transform = getattr(head, "transform", None) is not None
            products = hidden * ((hidden if has_transform else 0) + count_logits(head))
    return _share_of(head, len(lengths) / sum(lengths), target_fraction) * 2 * products


def _mean_seen(lengths: Sequence[int], window: int | None, is_causal: bool) -> float:
    """The tokens that a token may see, averaged over tokens; itself among them."""
    pairs = 0
    for length in lengths:
        reach = length - 1 if window is None else min(window, length - 1)
        before = length * reach - reach * (reach + 1) // 2  # pairs of a token and an earlier one that it sees
        pairs += length + (before if is_causal else 2 * before)
    return pairs / sum(lengths)


def _mean_keys(lengths: Sequence[int], sources: Sequence[int]) -> float:
    """The tokens of its sequence's source, averaged over tokens."""
    return sum(length * source for length, source in zip(lengths, sources, strict=True)) / sum(lengths)


def _values_per_token(
    config: ModelConfig, lengths: Sequence[int], sources: Sequence[int], target_fraction: float, is_fused: bool
) -> float:
    """Numbers kept for the way back: the input of every product, norm and activation, and what a head makes."""
    asked = _asked_share(config, len(lengths) / sum(lengths), target_fraction)
    values = _stack_values(config, lengths, asked, is_fused)
    if config.encoder is not None:
        width, kv_width = _attention_widths(config)
        ratio = sum(sources) / sum(lengths)
        cross = config.hidden_size + 2 * width + 2 * kv_width * ratio + _norm_values(config)
        if not is_fused:
            cross += config.num_heads * _mean_keys(lengths, sources)
        if config.dropout.residual:
            cross += config.hidden_size / 4
        values += ratio * _stack_values(config.of_encoder, sources, 1.0, is_fused) + config.num_layers * cross
    for head in config.heads:
        if head.kind == "generator":
            values += _values_per_token(shrink(config, head), lengths, sources, target_fraction, is_fused)
        if head.kind == "biaffine":
            values += 2 * head.size + count_logits(head) * (head.size + 2 * max(lengths))
        if head.kind in ("masked_lm", "causal_lm", "permuted_lm"):
            rows = 4 if head.kind == "masked_lm" else 1
            values += target_fraction * (2 * config.vocab_size + rows * config.hidden_size)
    return values


def _stack_values(config: ModelConfig, lengths: Sequence[int], asked: float, is_fused: bool) -> float:
    hidden, (width, kv_width) = config.hidden_size, _attention_widths(config)
    num_inner = 4 if config.feed_forward.kind == "gated" else 2
    attention = hidden + 2 * width + 2 * kv_width
    if config.qk_norm:
        attention += width + kv_width
    if not is_fused:
        attention += config.num_heads * _mean_keys(lengths, lengths)
    after = hidden + num_inner * config.intermediate_size + 2 * _norm_values(config)
    if config.dropout.residual:
        after += 2 * hidden / 4
    if config.dropout.feed_forward:
        after += config.intermediate_size / 4
    return config.num_layers * attention + (config.num_layers - 1 + asked) * after + 3 * hidden


def _norm_values(config: ModelConfig) -> int:
    """Of the norms of one branch."""
    return config.hidden_size * sum(place in ("input", "output", "residual") for place in config.norm_places)
