"""Tiny encoder-decoders of transformers, and how far ours are from them on unequal lengths on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from decoder_peers import perturb
from torch import Tensor

from groundup.checkpoint import pretrained
from groundup.families.family import Family
from groundup.model.cache import Cache
from groundup.model.packed import Packed
from groundup.model.transformer import Stack, Transformer

transformers = pytest.importorskip("transformers")

VOCAB, PADDING, END, START = 60, 1, 2, 3
SOURCES, TARGETS = (11, 11, 7, 2, 9, 5), (4, 4, 8, 6, 1, 6)
"""Two pairs are alike on both sides, so that one group holds them."""
T5_SIZES = {
    "vocab_size": VOCAB,
    "d_model": 32,
    "d_kv": 6,
    "d_ff": 40,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 9,
    "layer_norm_epsilon": 1e-3,
    "decoder_start_token_id": 0,
}
BART_SIZES = {
    "vocab_size": VOCAB,
    "d_model": 32,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 40,
    "pad_token_id": PADDING,
    "eos_token_id": END,
    "forced_eos_token_id": None,
    "decoder_start_token_id": START,
    "bos_token_id": 0,
}
CONFIGS = {
    "t5": ("T5", T5_SIZES),
    "t5 v1.1": ("T5", {**T5_SIZES, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "mt5": ("MT5", T5_SIZES),
    "bart": ("Bart", BART_SIZES),
    "marian": ("Marian", {**BART_SIZES, "scale_embedding": True, "activation_function": "swish"}),
}


def build_peer(family: str, *, has_head: bool = True, **values: object) -> torch.nn.Module:
    """A tiny random model of which no parameter, and no bias of the head, is left at its neutral value."""
    torch.manual_seed(0)
    name, sizes = CONFIGS[family]
    head = "MTModel" if name == "Marian" else "ForConditionalGeneration"
    config = getattr(transformers, f"{name}Config")(**{**sizes, **values})
    peer = getattr(transformers, name + (head if has_head else "Model"))(config)
    tables = {each: parameter.clone() for each, parameter in peer.named_parameters() if not parameter.requires_grad}
    if has_head and sizes.get("tie_word_embeddings") is False:
        peer.lm_head.weight = torch.nn.Parameter(torch.randn(VOCAB, 32) * 0.5)
    perturb(peer)
    with torch.no_grad():
        for each, table in tables.items():
            peer.get_parameter(each).copy_(table)
        if hasattr(peer, "final_logits_bias"):
            peer.final_logits_bias.normal_()
    return peer


def load_from(peer: torch.nn.Module, folder: Path) -> Transformer:
    peer.save_pretrained(folder)
    loaded = pretrained.load(folder)
    assert not loaded.fresh and not loaded.dropped
    return loaded.model.eval()


def draw_ids() -> tuple[list[np.ndarray], list[np.ndarray]]:
    random = np.random.default_rng(0)
    return tuple([random.integers(4, VOCAB, length) for length in lengths] for lengths in (SOURCES, TARGETS))


def pad(ids: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    padded = torch.full((len(ids), max(map(len, ids))), PADDING)
    mask = torch.zeros_like(padded)
    for row, each in enumerate(ids):
        padded[row, : len(each)], mask[row, : len(each)] = torch.from_numpy(each), 1
    return padded, mask


def run_peer(peer: torch.nn.Module, sources: list[np.ndarray], targets: list[np.ndarray]) -> Mapping[str, Tensor]:
    """Padded on the right on both sides; states after every block and logits come back flat, without padding."""
    (source, source_mask), (target, target_mask) = pad(sources), pad(targets)
    out = peer(
        input_ids=source,
        attention_mask=source_mask,
        decoder_input_ids=target,
        decoder_attention_mask=target_mask,
        output_hidden_states=True,
    )
    answer: dict[str, Tensor] = {}
    for side, states, mask in (
        ("encoder", out.encoder_hidden_states, source_mask.bool()),
        ("decoder", out.decoder_hidden_states, target_mask.bool()),
    ):
        answer |= {f"{side} {number}": hidden[mask] for number, hidden in enumerate(states[1:-1])}
        answer[side] = states[-1][mask]
    if "logits" in out:
        answer["logits"] = out.logits[target_mask.bool()]
    return answer


def run_ours(model: Transformer, sources: list[np.ndarray], targets: list[np.ndarray]) -> Mapping[str, Tensor]:
    answer: dict[str, Tensor] = {}

    def watch(side: str, stack: Stack) -> list:
        return [
            block.register_forward_hook(lambda *given, name=f"{side} {number}": answer.update({name: given[-1]}))
            for number, block in enumerate(stack.blocks[:-1])
        ]

    hooks = watch("encoder", model.encoder) + watch("decoder", model)
    memory = model.encode(Packed.from_sequences(sources))
    answer["encoder"] = memory.hidden
    answer["decoder"] = model(Packed.from_sequences(targets), memory=memory)
    for hook in hooks:
        hook.remove()
    if "causal_lm" in model.heads:
        answer["logits"] = model.heads["causal_lm"](answer["decoder"])
    return answer


def difference(model: Transformer, peer: torch.nn.Module) -> float:
    """The largest absolute difference of any hidden state of either side, between the blocks too, or logit."""
    with torch.no_grad():
        theirs, ours = run_peer(peer, *draw_ids()), run_ours(model, *draw_ids())
    assert theirs.keys() == ours.keys()
    return max(float((theirs[name] - ours[name]).abs().max()) for name in theirs)


def gradient_difference(model: Transformer, peer: torch.nn.Module, family: Family) -> float:
    """The largest difference of a parameter's gradients, relative to the norm of the peer's."""
    for run, module in ((run_peer, peer), (run_ours, model)):
        module.zero_grad()
        answer = run(module, *draw_ids())
        outcome = answer.get("logits", answer["decoder"])
        weight = torch.randn(outcome.shape, generator=torch.Generator().manual_seed(0))
        (outcome * weight).sum().backward()
    # transformers keeps the bias of the head where no gradient comes.
    ours = {name: each.grad for name, each in model.named_parameters() if name != "heads.causal_lm.bias"}
    seen = family.write_map(model.config).write(ours)
    theirs = {name: parameter.grad for name, parameter in peer.named_parameters() if parameter.requires_grad}
    assert seen.keys() == theirs.keys()
    whole = torch.stack([each.norm() for each in theirs.values()]).norm()
    # A bias of keys moves all scores of a query alike, so its gradient is rounding alone.
    moved = [name for name in theirs if "k_proj.bias" not in name]
    still = [(theirs[name] - seen[name]).norm() / whole for name in theirs.keys() - set(moved)]
    return float(max([(theirs[name] - seen[name]).norm() / theirs[name].norm() for name in moved] + still))


def cached_difference(model: Transformer, peer: torch.nn.Module) -> float:
    """The largest difference of any logit as a share of the largest one: ours token by token, theirs of the whole."""
    sources, targets = draw_ids()
    worst, head = 0.0, model.heads["causal_lm"]
    with torch.no_grad():
        expected = run_peer(peer, sources, targets)["logits"].split(list(TARGETS))
        memory = model.encode(Packed.from_sequences(sources))
        cache, places = Cache(model.config, len(targets)), list(range(len(targets)))
        for step in range(max(TARGETS)):
            kept = [place for place, number in enumerate(places) if TARGETS[number] > step]
            if len(kept) < len(places):
                cache.select(kept)
                places = [places[place] for place in kept]
            new = cache.pack([torch.from_numpy(targets[number][step : step + 1]) for number in places])
            logits = head(model(new, cache=cache, memory=None if cache.has_memory else memory))
            worst = max(
                worst,
                *(float((expected[n][step] - ours).abs().max()) for n, ours in zip(places, logits, strict=True)),
            )
    return worst / max(float(each.abs().max()) for each in expected)
