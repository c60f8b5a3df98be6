"""Tiny encoders of transformers with every head, and how far ours are from them: states, logits, gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from decoder_peers import perturb
from torch import Tensor

from groundup.families.encoder import EncoderFamily
from groundup.families.registry import FAMILIES
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-4
PADDING = 3
LENGTHS = (11, 11, 7, 7, 2)
SIZES = {
    "vocab_size": 60,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "intermediate_size": 80,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-3,
    "pad_token_id": PADDING,
}
OWN_SIZES = {
    "albert": {"embedding_size": 20, "num_hidden_layers": 3, "num_hidden_groups": 2},
    "electra": {"embedding_size": 20, "summary_activation": "tanh"},
    "modernbert": {
        "norm_eps": 1e-3,
        "num_hidden_layers": 4,
        "local_attention": 6,
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 500.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
        },
        **dict.fromkeys(("bos_token_id", "cls_token_id", "eos_token_id", "sep_token_id"), 2),
    },
}
ENCODERS = {family.model_type: family for family in FAMILIES if isinstance(family, EncoderFamily)}
HEADS = {name: heads for family in ENCODERS.values() for name, heads in family.architectures.items()}


def family_of(architecture: str) -> EncoderFamily:
    return next(family for family in ENCODERS.values() if architecture in family.architectures)


def build_peer(architecture: str, **values: object) -> torch.nn.Module:
    """A tiny random model of which no parameter, bias or norm included, is left at its neutral value."""
    torch.manual_seed(0)
    model_type = family_of(architecture).model_type
    has_two = architecture.endswith("QuestionAnswering") or architecture == "AlbertForPreTraining"
    own = {**SIZES, **OWN_SIZES.get(model_type, {}), "num_labels": 2 if has_two else 4}
    config = transformers.AutoConfig.for_model(model_type, **{**own, **values})
    return perturb(getattr(transformers, architecture)(config))


@dataclass(frozen=True)
class Drawn:
    """Sequences of unequal lengths with their token types."""

    ids: list[np.ndarray]
    types: list[np.ndarray]


def draw_batch(vocab_size: int = SIZES["vocab_size"], *, has_padding_id: bool = True) -> Drawn:
    """With the padding id among the ids, since a padded peer must not treat it as padding: its mask says what is."""
    random = np.random.default_rng(0)
    ids = [random.integers(0, vocab_size, length) for length in LENGTHS]
    if not has_padding_id:
        ids = [np.where(each == PADDING, PADDING + 1, each) for each in ids]
    return Drawn(ids, [(np.arange(length) >= length // 2).astype(np.int64) for length in LENGTHS])


def batch_for(peer: torch.nn.Module) -> Drawn:
    """To RoBERTa a padding id is no token, wherever it stands: it has no position."""
    return draw_batch(has_padding_id="roberta" not in type(peer).__name__.lower())


def run_peer(peer: torch.nn.Module, drawn: Drawn) -> Mapping[str, Tensor]:
    """Padded in transformers' way; states and logits of tokens come back flat, without padding."""
    length = max(map(len, drawn.ids))
    padded = {
        "input_ids": torch.full((len(drawn.ids), length), PADDING),
        "token_type_ids": torch.zeros(len(drawn.ids), length, dtype=torch.int64),
        "attention_mask": torch.zeros(len(drawn.ids), length, dtype=torch.int64),
    }
    for row, (of_ids, of_types) in enumerate(zip(drawn.ids, drawn.types, strict=True)):
        padded["input_ids"][row, : len(of_ids)] = torch.from_numpy(of_ids)
        padded["token_type_ids"][row, : len(of_ids)] = torch.from_numpy(of_types)
        padded["attention_mask"][row, : len(of_ids)] = 1
    is_token = padded["attention_mask"].bool()
    name = type(peer).__name__
    if name.endswith("MultipleChoice"):  # all sequences are answers to one question
        padded = {key: each[None] for key, each in padded.items()}
    out = peer(**padded, output_hidden_states=True)
    answer = {f"block {number}": state[is_token] for number, state in enumerate(out.hidden_states[1:-1])}
    answer["hidden"] = out.hidden_states[-1][is_token]
    match family_of(name).architectures[name]:
        case ():
            if out.get("pooler_output") is not None:
                answer["pooled"] = out.pooler_output
        case ("masked_lm", other):
            answer["masked_lm"] = out.prediction_logits[is_token]
            answer[other] = out.seq_relationship_logits if other == "next_sentence" else out.sop_logits
        case ("masked_lm" | "token" as kind,):
            answer[kind] = out.logits[is_token]
        case ("classification" | "next_sentence" as kind,):
            answer[kind] = out.logits
        case ("multiple_choice",):
            answer["multiple_choice"] = out.logits.T
        case ("replaced",):
            answer["replaced"] = out.logits[is_token][:, None]
        case ("span",):
            answer["span"] = torch.stack((out.start_logits[is_token], out.end_logits[is_token]), dim=-1)
    return answer


def run_ours(model: Transformer, drawn: Drawn) -> Mapping[str, Tensor]:
    packed, states = Packed.from_sequences(drawn.ids, drawn.types), list[Tensor]()
    hooks = [block.register_forward_hook(lambda *arguments: states.append(arguments[-1])) for block in model.blocks]
    hidden = model(packed)
    for hook in hooks:
        hook.remove()
    answer = {f"block {number}": state for number, state in enumerate(states[:-1])} | {"hidden": hidden}
    if not model.heads and model.config.has_pooler:
        answer["pooled"] = model.pool(hidden[packed.starts])
    for head in model.config.heads:
        vectors = model.summarize(packed, head.kind) if hasattr(head, "pooling") else hidden
        answer[head.kind] = model.heads[head.kind](vectors)
    return answer


def difference(model: Transformer, peer: torch.nn.Module) -> float:
    """The largest absolute difference of any hidden state, between the blocks too, or logit."""
    drawn = batch_for(peer)
    with torch.no_grad():
        theirs, ours = run_peer(peer, drawn), run_ours(model, drawn)
    assert theirs.keys() == ours.keys()
    return max(float((theirs[name] - ours[name]).abs().max()) for name in theirs)


def gradient_difference(model: Transformer, peer: torch.nn.Module) -> float:
    """The largest difference of a parameter's gradients, relative to the norm of the peer's."""
    drawn, weights = batch_for(peer), dict[str, Tensor]()
    for run, module in ((run_peer, peer), (run_ours, model)):
        module.zero_grad()
        answer = {name: values for name, values in run(module, drawn).items() if not name.startswith("block")}
        for name, values in answer.items():
            drawn_weights = torch.randn(values.shape, generator=torch.Generator().manual_seed(len(name)))
            weights.setdefault(name, drawn_weights.to(values.dtype))
        # The hidden states alone would leave heads without a gradient, the heads alone the last token of some blocks.
        sum((values * weights[name]).sum() for name, values in answer.items()).backward()
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    names = family_of(type(peer).__name__).write_map(model.config)
    assert all(gradient is not None for gradient in ours.values())
    seen = names.write(ours)
    # A tied parameter has two names, and which one comes first differs from class to class.
    parameters = dict(peer.named_parameters(remove_duplicate=False))
    theirs = {name: parameter.grad for name, parameter in parameters.items() if parameter.grad is not None}
    assert seen.keys() <= theirs.keys()
    assert {id(parameters[name]) for name in seen} == {id(parameters[name]) for name in theirs}
    return max(float((theirs[name] - seen[name]).norm() / _scale(theirs, name)) for name in seen)


def _scale(gradients: Mapping[str, Tensor], name: str) -> Tensor:
    """The norm of a gradient. A key's bias moves all scores of a query alike, so what reaches it is rounding alone."""
    if not name.endswith("key.bias"):
        return gradients[name].norm()
    scale = gradients[name.replace("bias", "weight")].norm()
    assert gradients[name].norm() < 1e-4 * scale
    return scale
