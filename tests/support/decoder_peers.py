"""Tiny decoders of transformers, and how far ours are from them: states, logits, gradients, cached steps, dropout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from groundup.checkpoint import pretrained
from groundup.families.family import Family
from groundup.model import attention
from groundup.model.cache import Cache
from groundup.model.config import ModelConfig
from groundup.model.initialize import initialize
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.text.tokenizer import Tokenizer

TOLERANCE = 1e-4
VOCAB_SIZE = 60
LENGTHS = (11, 11, 7, 7, 2)
TEXTS = ["A design of your own, trained here.", "写在这里的，在那里也一样。", "no"]


def perturb(peer: torch.nn.Module) -> torch.nn.Module:
    """No parameter, bias or norm included, is left at its neutral value."""
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    return peer.eval()


def load_from(peer: torch.nn.Module, folder: Path) -> Transformer:
    peer.save_pretrained(folder)
    loaded = pretrained.load(folder)
    assert not loaded.fresh and not loaded.dropped
    return loaded.model.eval()


def save(folder: Path, model: Transformer, **values: object) -> Path:
    pretrained.save(folder, model, **{"tokenizer_files": {}, "manifest": {}, "card": "", **values})
    return folder


def draw_ids() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, VOCAB_SIZE, length) for length in LENGTHS]


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


def gradient_difference(model: Transformer, peer: torch.nn.Module, family: Family) -> float:
    """The largest difference of a parameter's gradients, relative to the norm of the peer's."""
    for run, module in ((run_peer, peer), (run_ours, model)):
        module.zero_grad()
        answer = run(module, draw_ids())
        outcome = answer.get("logits", answer["hidden"])
        weight = torch.randn(outcome.shape, generator=torch.Generator().manual_seed(0))
        (outcome * weight).sum().backward()
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    seen = family.write_map(model.config).write(ours)
    theirs = {name: parameter.grad for name, parameter in peer.named_parameters()}
    assert seen.keys() == theirs.keys()
    return max(float((theirs[name] - seen[name]).norm() / theirs[name].norm()) for name in theirs)


def cached_difference(model: Transformer, peer: torch.nn.Module, prompts: list[int], num_steps: int) -> float:
    """The largest difference of any logit, ours computed with a cache, theirs from the whole sequences."""
    random = np.random.default_rng(1)
    sequences = [torch.from_numpy(random.integers(0, VOCAB_SIZE, length + num_steps)) for length in prompts]
    cache, head, worst = Cache(model.config, len(prompts)), model.heads["causal_lm"], 0.0
    with torch.no_grad():
        expected = [peer(input_ids=ids[None]).logits[0] for ids in sequences]
        starts, ends = [0] * len(prompts), list(prompts)
        for _ in range(num_steps + 1):
            new = [ids[start:end] for ids, start, end in zip(sequences, starts, ends, strict=True)]
            logits = head(model(cache.pack(new), cache=cache)).split([len(ids) for ids in new])
            for theirs, start, ours in zip(expected, starts, logits, strict=True):
                worst = max(worst, float((theirs[start : start + len(ours)] - ours).abs().max()))
            starts, ends = ends, [end + 1 for end in ends]
    assert starts == [len(ids) for ids in sequences]
    return worst


def train(design: ModelConfig, tokenizer: Tokenizer) -> Transformer:
    """A few steps on the next token, so that no parameter is what it was."""
    model = Transformer(design)
    initialize(model, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    ids = [encoded.input_ids for encoded in tokenizer.encode_batch(TEXTS)]
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for _ in range(5):
        packed = Packed.from_sequences([each[:-1] for each in ids])
        logits = model.heads["causal_lm"](model(packed))
        target = torch.from_numpy(np.concatenate([each[1:] for each in ids]).astype(np.int64))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, target).backward()
        optimizer.step()
    # Keys' biases move all scores of a query alike, and no step reaches them but by rounding.
    assert not any(torch.equal(before[name], each) for name, each in model.named_parameters() if ".k.bias" not in name)
    return model.eval()


def rebuild(model: Transformer, **changes: object) -> Transformer:
    """The same weights under another design: norms move with their place, and one without a place is left out."""
    other = Transformer(model.config.model_copy(update=changes)).eval()
    moved = {name.replace("norms.input", "norms.residual"): each for name, each in model.state_dict().items()}
    state = {name: moved.get(name, model.state_dict().get(name)) for name in other.state_dict()}
    other.load_state_dict(state)
    return other


def edit(model: Transformer, change: Callable[[Transformer], None]) -> Transformer:
    broken = rebuild(model)
    with torch.no_grad():
        change(broken)
    return broken


def halve(values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """A dropout that draws nothing: it weakens every value by its own probability, so its place and p can be seen."""
    return values * (1 - p / 2) if training else values


class Halving(torch.nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        return halve(values, self.p, self.training)


def replace_dropout(module: torch.nn.Module) -> None:
    for name, child in module.named_children():
        if type(child).__name__ == "Dropout":
            setattr(module, name, Halving(child.p))
        replace_dropout(child)


@pytest.fixture
def without_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout of attention is `halve` on both sides; that of modules, where `replace_dropout` has been."""

    # Weakening attention by a factor is the same before and after the softmax's weights meet the values.
    def attend(*arguments: object, dropout: float = 0.0, **rest: object) -> Tensor:
        return halve(attention.attend_grouped(*arguments, dropout=0.0, **rest), dropout)

    monkeypatch.setitem(attention.BACKENDS, "grouped", attend)
    monkeypatch.setattr(torch.nn.functional, "dropout", halve)
