"""Tiny GPT-2 models of transformers, and how far ours are from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from groundup.checkpoint import pretrained
from groundup.families.gpt2 import GPT2
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-4
LENGTHS = (11, 11, 7, 7, 2)
SIZES = {
    "vocab_size": 60,
    "n_embd": 48,
    "n_layer": 3,
    "n_head": 6,
    "n_inner": 80,
    "n_positions": 32,
    "layer_norm_epsilon": 1e-3,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ARCHITECTURES = ("GPT2Model", "GPT2LMHeadModel")


def build_peer(architecture: str = "GPT2LMHeadModel", **values: object) -> torch.nn.Module:
    """A tiny random model of which no parameter, bias or norm included, is left at its neutral value."""
    torch.manual_seed(0)
    peer = getattr(transformers, architecture)(transformers.GPT2Config(**{**SIZES, **values}))
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    return peer.eval()


def load_from(peer: torch.nn.Module, folder: Path) -> Transformer:
    peer.save_pretrained(folder)
    loaded = pretrained.load(folder)
    assert not loaded.fresh and not loaded.dropped
    return loaded.model.eval()


def draw_ids() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, SIZES["vocab_size"], length) for length in LENGTHS]


def run_peer(peer: torch.nn.Module, ids: list[np.ndarray]) -> Mapping[str, Tensor]:
    """Padded on the right; the state after every block, hidden states and logits come back flat, without padding."""
    padded = torch.full((len(ids), max(map(len, ids))), 3)
    mask = torch.zeros_like(padded)
    for row, of_ids in enumerate(ids):
        padded[row, : len(of_ids)], mask[row, : len(of_ids)] = torch.from_numpy(of_ids), 1
    is_token = mask.bool()
    out = peer(input_ids=padded, attention_mask=mask, output_hidden_states=True)
    answer = {f"block {number}": hidden[is_token] for number, hidden in enumerate(out.hidden_states[1:-1])}
    answer["hidden"] = out.hidden_states[-1][is_token]
    if "logits" in out:
        answer["logits"] = out.logits[is_token]
    return answer


def run_ours(model: Transformer, ids: list[np.ndarray]) -> Mapping[str, Tensor]:
    answer: dict[str, Tensor] = {}
    hooks = [
        block.register_forward_hook(lambda *arguments, name=f"block {number}": answer.update({name: arguments[-1]}))
        for number, block in enumerate(model.blocks[:-1])
    ]
    answer["hidden"] = model(Packed.from_sequences(ids))
    for hook in hooks:
        hook.remove()
    if "causal_lm" in model.heads:
        answer["logits"] = model.heads["causal_lm"](answer["hidden"])
    return answer


def difference(model: Transformer, peer: torch.nn.Module) -> float:
    """The largest absolute difference of any hidden state, between the blocks too, or logit."""
    with torch.no_grad():
        theirs, ours = run_peer(peer, draw_ids()), run_ours(model, draw_ids())
    assert theirs.keys() == ours.keys()
    return max(float((theirs[name] - ours[name]).abs().max()) for name in theirs)


def gradient_difference(model: Transformer, peer: torch.nn.Module) -> float:
    """The largest difference of a parameter's gradients, relative to the norm of the peer's."""
    for run, module in ((run_peer, peer), (run_ours, model)):
        module.zero_grad()
        answer = run(module, draw_ids())
        outcome = answer.get("logits", answer["hidden"])
        weight = torch.randn(outcome.shape, generator=torch.Generator().manual_seed(0))
        (outcome * weight).sum().backward()
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    seen = GPT2.write_map(model.config).write(ours)
    theirs = {name: parameter.grad for name, parameter in peer.named_parameters()}
    assert seen.keys() == theirs.keys()
    return max(float((theirs[name] - seen[name]).norm() / theirs[name].norm()) for name in theirs)
