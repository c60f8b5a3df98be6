"""Tiny XLNet models of transformers, with both streams, memory and segments, and the same passes through ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from decoder_peers import VOCAB_SIZE, perturb
from torch import Tensor

from groundup.model.history import History
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

transformers = pytest.importorskip("transformers")

SIZES = {
    "vocab_size": VOCAB_SIZE,
    "d_model": 48,
    "n_layer": 3,
    "n_head": 6,
    "d_inner": 80,
    "layer_norm_eps": 1e-3,
    "num_labels": 4,
    "mem_len": None,
    "dropout": 0.3,
}
HEADS = {
    "XLNetModel": (),
    "XLNetLMHeadModel": ("permuted_lm",),
    "XLNetForSequenceClassification": ("classification",),
    "XLNetForMultipleChoice": ("multiple_choice",),
    "XLNetForTokenClassification": ("token",),
    "XLNetForQuestionAnsweringSimple": ("span",),
}
LENGTHS = (11, 11, 7, 7, 2)
PADDING = 5


def build_peer(architecture: str = "XLNetLMHeadModel", **values: object) -> torch.nn.Module:
    """A tiny random model of which no parameter is left at its neutral value."""
    torch.manual_seed(0)
    config = transformers.XLNetConfig(**{**SIZES, **values})
    if architecture == "XLNetForQuestionAnsweringSimple":
        config.num_labels = 2
    return perturb(getattr(transformers, architecture)(config))


@dataclass(frozen=True)
class Pass:
    """One segment of some sequences."""

    ids: Sequence[np.ndarray]
    types: Sequence[np.ndarray]
    orders: Sequence[np.ndarray] | None = None
    """The order of every token: 0 for those that are given, then the targets; None where all see all."""

    @property
    def packed(self) -> Packed:
        """As our model takes it."""
        packed = Packed.from_sequences(self.ids, self.types)
        order = None if self.orders is None else torch.from_numpy(np.concatenate(self.orders))
        return replace(packed, order=order)

    @property
    def targets(self) -> Tensor:
        """The rows that are asked for."""
        return torch.from_numpy(np.flatnonzero(np.concatenate(self.orders)))


def draw_pass(lengths: Sequence[int] = LENGTHS, seed: int = 0, *, is_permuted: bool = False) -> Pass:
    """Random ids, three token types, and, where asked, orders with ties among what is given."""
    random = np.random.default_rng(seed)
    # transformers trains the row of padding, which no batch of ours holds.
    ids = [random.choice(np.delete(np.arange(VOCAB_SIZE), PADDING), length) for length in lengths]
    types = [np.minimum(np.arange(length) * 3 // length, 2) for length in lengths]
    if not is_permuted:
        return Pass(ids, types)
    orders = []
    for length in lengths:
        targets = random.permutation(length)[: max(1, length // 3)]
        order = np.zeros(length, dtype=np.int64)
        order[targets] = 1 + np.arange(len(targets))
        orders.append(order)
    return Pass(ids, types, orders)


def run_peer(
    peer: torch.nn.Module, given: Pass, mems: list[Tensor] | None = None, *, use_mems: bool = False
) -> tuple[Mapping[str, Tensor], list[Tensor] | None]:
    """Padded on the left, as XLNet's tokenizer does; answers come back flat, without padding, with the new memory."""
    length, lengths = max(map(len, given.ids)), list(map(len, given.ids))
    count = len(lengths)
    inputs = {
        "input_ids": torch.full((count, length), PADDING),
        "token_type_ids": torch.full((count, length), 3),
        "attention_mask": torch.zeros(count, length),
    }
    perm_mask = torch.zeros(count, length, length)
    for row, (ids, types) in enumerate(zip(given.ids, given.types, strict=True)):
        inputs["input_ids"][row, length - len(ids) :] = torch.from_numpy(ids)
        inputs["token_type_ids"][row, length - len(ids) :] = torch.from_numpy(types)
        inputs["attention_mask"][row, length - len(ids) :] = 1
        if given.orders is not None:
            order = torch.from_numpy(given.orders[row])
            perm_mask[row, length - len(ids) :, length - len(ids) :] = (order[:, None] <= order) & (order > 0)
    is_token = inputs["attention_mask"].bool()
    if given.orders is not None:
        # Every place is a target here, as in their collator; those that are asked for are picked out below.
        inputs |= {"perm_mask": perm_mask, "target_mapping": torch.eye(length).expand(count, -1, -1)}
    if type(peer).__name__ == "XLNetForMultipleChoice":
        # It takes no memory; every sequence here is a question with one choice.
        inputs = {name: value[:, None] for name, value in inputs.items()}
        out = peer(**inputs, output_hidden_states=True)
    else:
        out = peer(**inputs, mems=mems, use_mems=use_mems, output_hidden_states=True)
    streams = 1 if given.orders is None else 2
    states = [state[is_token] for state in out.hidden_states]
    answer = {f"content {number}": state for number, state in enumerate(states[::streams][1:])}
    if given.orders is not None:
        answer |= {f"query {number}": state[given.targets] for number, state in enumerate(states[1::2][1:])}
    match type(peer).__name__:
        case "XLNetModel":
            answer["outcome"] = out.last_hidden_state[is_token]
        case "XLNetLMHeadModel":
            logits = out.logits[is_token]
            answer["logits"] = logits if given.orders is None else logits[given.targets]
        case "XLNetForSequenceClassification" | "XLNetForMultipleChoice":
            answer["logits"] = out.logits
        case "XLNetForTokenClassification":
            answer["logits"] = out.logits[is_token]
        case "XLNetForQuestionAnsweringSimple":
            answer["logits"] = torch.stack((out.start_logits[is_token], out.end_logits[is_token]), dim=-1)
    return answer, list(out.mems) if use_mems else None


def run_ours(model: Transformer, given: Pass, history: History | None = None) -> Mapping[str, Tensor]:
    """The states after every block, of both streams where the pass has an order, and the logits."""
    packed, states = given.packed, list[Tensor]()
    hooks = [block.register_forward_hook(lambda *arguments: states.append(arguments[-1])) for block in model.blocks]
    try:
        if given.orders is None:
            outcome = model(packed, cache=history)
        else:
            outcome = model(packed, rows=given.targets, cache=history, stream="query")
    finally:
        for hook in hooks:
            hook.remove()
    num_tokens = packed.num_tokens
    answer = {f"content {number}": state[:num_tokens] for number, state in enumerate(states)}
    if given.orders is not None:
        answer |= {f"query {number}": state[num_tokens:] for number, state in enumerate(states)}
        answer |= {f"query {len(states) - 1}": states[-1]}
        # The last block computes what is asked for alone, so its content comes from a pass of its own.
        del answer[f"content {len(states) - 1}"]
    if not model.heads:
        answer["outcome"] = outcome
    for kind, head in model.heads.items():
        is_pooled = kind in ("classification", "multiple_choice")
        pooled = model.pool(outcome[model.pooled_rows(packed)]) if is_pooled else outcome
        answer["logits"] = head(pooled)
    return answer


def compare(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> float:
    """The largest absolute difference of any state or logit."""
    assert ours.keys() <= theirs.keys() and len(ours) >= len(theirs) - 1
    return max(float((theirs[name] - ours[name]).abs().max()) for name in ours)


def difference(model: Transformer, peer: torch.nn.Module, given: Pass) -> float:
    """Of one pass."""
    with torch.no_grad():
        return compare(run_peer(peer, given)[0], run_ours(model, given))
