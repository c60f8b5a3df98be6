"""BERT, RoBERTa, XLM-R, ALBERT, ELECTRA and ModernBERT compute the same here as in transformers, for every head."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from decoder_peers import edit, load_from, rebuild, replace_dropout, save, without_draws
from encoder_peers import HEADS, TOLERANCE, batch_for, build_peer, difference, gradient_difference, run_ours, run_peer
from safetensors.torch import load_file

from groundup.checkpoint import pretrained
from groundup.model.config import (
    ClassificationHead,
    Dropout,
    Head,
    LayerNormConfig,
    LearnedPositions,
    MultipleChoiceHead,
    PlainFeedForward,
    SpanHead,
    TokenHead,
)
from groundup.model.transformer import Transformer

transformers = pytest.importorskip("transformers")
__all__ = ["without_draws"]


@pytest.mark.parametrize("architecture", HEADS)
def test_states_logits_and_gradients(architecture: str, tmp_path: Path) -> None:
    peer = build_peer(architecture)
    model = load_from(peer, tmp_path)
    assert {head.kind for head in model.config.heads} == set(HEADS[architecture])
    assert difference(model, peer) < TOLERANCE
    assert gradient_difference(model, peer) < TOLERANCE


@pytest.mark.parametrize(
    "architecture", ["RobertaForMaskedLM", "AlbertForPreTraining", "ElectraForMaskedLM", "ElectraForPreTraining"]
)
def test_another_activation(architecture: str, tmp_path: Path) -> None:
    """ALBERT's heads and ELECTRA's discriminator follow the stack, RoBERTa's head and ELECTRA's generator do not."""
    peer = build_peer(architecture, hidden_act="silu")
    assert difference(load_from(peer, tmp_path), peer) < TOLERANCE


@pytest.mark.parametrize("architecture", [name for name in HEADS if name.endswith("MaskedLM")])
def test_an_untied_decoder(architecture: str, tmp_path: Path) -> None:
    peer = build_peer(architecture, tie_word_embeddings=False)
    peer.save_pretrained(tmp_path)
    model = pretrained.load(tmp_path).model.eval()
    assert not model.config.tie_embeddings
    assert difference(model, peer) < TOLERANCE


@pytest.mark.parametrize("architecture", ["BertForMaskedLM", "RobertaForMaskedLM", "AlbertForMaskedLM"])
def test_a_second_bias_that_nothing_computes_with_comes_back(architecture: str, tmp_path: Path) -> None:
    build_peer(architecture, tie_word_embeddings=False).save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs")
    assert loaded.dropped == tuple(loaded.unused) and len(loaded.unused) == 1
    save(tmp_path / "kept", loaded.model, extra_config=loaded.extra_config, unused=loaded.unused)
    save(tmp_path / "agreeing", loaded.model, extra_config=loaded.extra_config)
    before, kept, agreeing = (
        load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "kept", "agreeing")
    )
    assert before.keys() == kept.keys() and all(torch.equal(before[name], kept[name]) for name in before)
    # The control: without it, the two biases agree.
    changed = [name for name in before if not torch.equal(before[name], agreeing[name])]
    assert changed == list(loaded.unused)
    assert pretrained.load(tmp_path / "agreeing").dropped == ()


@pytest.mark.parametrize("values", [{"embedding_size": 48}, {"embedding_size": 64}], ids=str)
@pytest.mark.parametrize("architecture", ["AlbertForMaskedLM", "ElectraForMaskedLM"])
def test_an_embedding_as_wide_as_the_stack_or_wider(architecture: str, values: dict[str, Any], tmp_path: Path) -> None:
    peer = build_peer(architecture, **values)
    model = load_from(peer, tmp_path)
    assert (model.config.embedding_size is None) == (architecture[0] == "E" and values["embedding_size"] == 48)
    assert difference(model, peer) < TOLERANCE


@pytest.mark.parametrize(("rounds", "groups", "size"), [(4, 1, 1), (5, 3, 1), (3, 3, 1), (4, 3, 2)])
def test_shared_blocks(rounds: int, groups: int, size: int, tmp_path: Path) -> None:
    peer = build_peer("AlbertModel", num_hidden_layers=rounds, num_hidden_groups=groups, inner_group_num=size)
    model = load_from(peer, tmp_path)
    assert difference(model, peer) < TOLERANCE
    # In float64: the same weights again and again make of rounding what no tolerance should allow.
    assert gradient_difference(model.double(), peer.double()) < 1e-9


FACTS: dict[str, tuple[str, Callable[[Transformer], Transformer]]] = {
    "the first position": (
        "RobertaModel",
        lambda model: rebuild(model, position=LearnedPositions(offset=3), max_length=model.config.max_length + 1),
    ),
    "the function of the head": (
        "RobertaForSequenceClassification",
        lambda model: edit(model, lambda each: setattr(each.heads["classification"].transform, "activation", abs)),
    ),
    "the order of shared blocks": (
        "AlbertModel",
        lambda model: edit(model, lambda each: setattr(each, "layers", (0, 1, 1))),
    ),
    "the map of the embedding": (
        "ElectraModel",
        lambda model: edit(model, lambda each: each.embedding.projection.bias.zero_()),
    ),
    "the norm of the narrow head": (
        "ElectraForMaskedLM",
        lambda model: edit(model, lambda each: setattr(each.heads["masked_lm"].norm, "eps", 1e-12)),
    ),
    "the eps of the norms": ("XLMRobertaModel", lambda model: rebuild(model, norm=LayerNormConfig(eps=1e-12))),
    "gelu, not its approximation": (
        "RobertaForMaskedLM",
        lambda model: rebuild(model, feed_forward=PlainFeedForward(activation="gelu_tanh")),
    ),
    "the transform of a choice": (
        "ElectraForMultipleChoice",
        lambda model: edit(model, lambda each: each.heads["multiple_choice"].transform.dense.bias.zero_()),
    ),
    "the pooler": ("BertForMultipleChoice", lambda model: edit(model, lambda each: each.pooler.bias.zero_())),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_broken_fact_makes_the_difference_jump(fact: str, tmp_path: Path) -> None:
    architecture, change = FACTS[fact]
    peer = build_peer(architecture)
    model = load_from(peer, tmp_path)
    assert difference(model, peer) < TOLERANCE
    assert difference(change(model), peer) > 2 * TOLERANCE


DROPOUT = {
    "hidden_dropout_prob": 0.3,
    "attention_probs_dropout_prob": 0.4,
    "classifier_dropout": 0.2,
    "classifier_dropout_prob": 0.25,
    "summary_last_dropout": 0.15,
    "embedding_dropout": 0.3,
    "attention_dropout": 0.4,
    "mlp_dropout": 0.2,
}


@pytest.mark.parametrize("architecture", HEADS)
def test_dropout_stands_in_the_same_places(architecture: str, tmp_path: Path, without_draws: None) -> None:
    peer = build_peer(architecture, **DROPOUT)
    peer.set_attn_implementation("eager")
    model = load_from(peer, tmp_path)
    for each in (peer, model):
        replace_dropout(each)
    assert difference(model, peer) < TOLERANCE
    without_any = run_ours(model, batch_for(peer))["hidden"]
    assert difference(model.train(), peer.train()) < TOLERANCE
    assert (run_ours(model, batch_for(peer))["hidden"] - without_any).abs().max() > 100 * TOLERANCE
    places = [module for module in model.modules() if type(module).__name__ == "Halving" and module.p > 0.1]
    places += [block.dropout for block in model.blocks]
    for place in places:
        place.p += 0.2
        assert difference(model, peer) > TOLERANCE, "each place is seen"
        place.p -= 0.2


@pytest.mark.parametrize("architecture", HEADS)
def test_a_folder_comes_back_bit_by_bit(architecture: str, tmp_path: Path) -> None:
    peer = build_peer(architecture, **DROPOUT, task="chat", sep_token_id=7)
    peer.save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs")
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    assert before.keys() == after.keys()
    assert all(before[name].dtype == after[name].dtype and torch.equal(before[name], after[name]) for name in before)
    assert json.loads((tmp_path / "ours" / "config.json").read_text()) == loaded.extra_config
    opened, report = getattr(transformers, architecture).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), "no tensor missing, unexpected or of another shape"
    assert difference(loaded.model.eval(), opened.eval()) == difference(loaded.model, peer)


@pytest.mark.parametrize("architecture", HEADS)
def test_what_is_written_without_a_folder_to_follow_opens_with_the_same_numbers(
    architecture: str, tmp_path: Path
) -> None:
    model = load_from(build_peer(architecture, **DROPOUT), tmp_path / "theirs")
    save(tmp_path / "ours", model)
    again = pretrained.load(tmp_path / "ours")
    assert again.config == model.config and again.extra_config["model_type"] != "groundup"
    opened = transformers.AutoConfig.from_pretrained(tmp_path / "ours")
    assert opened.architectures is not None
    peer, report = getattr(transformers, opened.architectures[0]).from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not any(report.values())
    assert difference(model, peer.eval()) < TOLERANCE


OTHERS = (ClassificationHead(num_labels=2), TokenHead(num_labels=2), MultipleChoiceHead(), SpanHead())


@pytest.mark.parametrize("head", OTHERS, ids=lambda head: head.kind)
@pytest.mark.parametrize(
    "architecture", [name for name, heads in HEADS.items() if {"masked_lm", "replaced"}.intersection(heads)]
)
def test_what_is_trained_for_something_else_is_called_what_it_is(architecture: str, head: Head, tmp_path: Path) -> None:
    """Two classes are as many as config.json means where it says nothing, so nothing but the heads is another."""
    build_peer(architecture, num_labels=2).save_pretrained(tmp_path / "start")
    loaded = pretrained.load(tmp_path / "start", heads=[head])
    save(tmp_path / "tuned", loaded.model, extra_config=loaded.extra_config)
    again = pretrained.load(tmp_path / "tuned")
    assert again.config == loaded.config and not again.dropped
    (written,) = again.extra_config["architectures"]
    assert set(HEADS[written]) == {head.kind}
    _, report = getattr(transformers, written).from_pretrained(tmp_path / "tuned", output_loading_info=True)
    assert not any(report.values())


def test_a_folder_with_dropout_of_ours_opens_there(tmp_path: Path) -> None:
    peer = build_peer("AlbertForMaskedLM")
    peer.save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs", dropout=Dropout(embedding=0.0, residual=0.3))
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    assert pretrained.load(tmp_path / "ours").config == loaded.config
    opened = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "ours").eval()
    assert opened.config.model_type == "albert" and difference(loaded.model.eval(), opened) < TOLERANCE


def test_a_stack_that_two_families_have_stays_where_it_came_from(tmp_path: Path) -> None:
    """An ELECTRA as wide as its embedding is a BERT without a pooler, and XLM-R is RoBERTa."""
    for architecture, values in (("ElectraModel", {"embedding_size": 48}), ("XLMRobertaForMaskedLM", {})):
        build_peer(architecture, **values).save_pretrained(tmp_path / architecture)
        loaded = pretrained.load(tmp_path / architecture, dropout=Dropout(embedding=0.4, residual=0.4))
        save(tmp_path / f"{architecture} again", loaded.model, extra_config=loaded.extra_config)
        again = pretrained.load(tmp_path / f"{architecture} again")
        assert again.config == loaded.config and again.config.dropout.residual == 0.4
        for key in ("model_type", "architectures", "bos_token_id", "pad_token_id"):
            assert again.extra_config[key] == loaded.extra_config[key]


PUBLISHED: dict[str, tuple[str, dict[str, Any], int]] = {
    "BERT-base": ("BertForPreTraining", {}, 110_106_428),
    "BERT-large": (
        "BertModel",
        {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
        335_141_888,
    ),
    "RoBERTa-base": ("RobertaForMaskedLM", {"max_position_embeddings": 514, "type_vocab_size": 1}, 124_697_433),
    "RoBERTa-large": (
        "RobertaForMaskedLM",
        {
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
        },
        355_412_057,
    ),
    "XLM-R base": (
        "XLMRobertaForMaskedLM",
        {"vocab_size": 250_002, "max_position_embeddings": 514, "type_vocab_size": 1},
        278_295_186,
    ),
    "ALBERT-base v2": (
        "AlbertModel",
        {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
        11_683_584,
    ),
    "ALBERT-large v2": (
        "AlbertModel",
        {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
        17_683_968,
    ),
    "ALBERT-xlarge v2": (
        "AlbertModel",
        {"hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 8192},
        58_724_864,
    ),
    "ALBERT-xxlarge v2": ("AlbertModel", {}, 222_595_584),
    "ModernBERT-base": ("ModernBertForMaskedLM", {}, 149_655_232),
    "ModernBERT-large": (
        "ModernBertForMaskedLM",
        {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "intermediate_size": 2624},
        395_881_664,
    ),
    "ELECTRA-small": ("ElectraForPreTraining", {}, 13_549_057),
    "ELECTRA-base": (
        "ElectraForPreTraining",
        {"embedding_size": 768, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
        109_483_009,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_the_published_sizes(name: str) -> None:
    from encoder_peers import family_of

    from groundup.model.estimate import count_parameters
    from groundup.model.skeleton import build_skeleton

    architecture, values, expected = PUBLISHED[name]
    family = family_of(architecture)
    with torch.device("meta"):
        config = transformers.AutoConfig.for_model(family.model_type, **values)
        peer = getattr(transformers, architecture)(config)
    theirs = dict(peer.named_parameters())
    ours = family.to_config({**values, "architectures": [architecture]}, theirs.keys(), None, name)
    model = build_skeleton(ours)
    assert sum(count_parameters(ours).values()) == sum(each.numel() for each in model.parameters()) == expected
    assert sum(each.numel() for each in theirs.values()) == expected
    shapes = {name: tuple(tensor.shape) for name, tensor in family.write_map(ours).write(model.state_dict()).items()}
    parameters = dict(peer.named_parameters(remove_duplicate=False))
    assert shapes == {name: tuple(parameters[name].shape) for name in shapes}
    assert {id(parameters[name]) for name in shapes} == {id(each) for each in theirs.values()}


@pytest.mark.parametrize("architecture", [name for name in HEADS if name.endswith("MaskedLM")])
def test_in_bfloat16_we_are_as_near_to_the_truth_as_transformers(architecture: str, tmp_path: Path) -> None:
    peer = build_peer(architecture)
    model = load_from(peer, tmp_path).bfloat16()
    drawn = batch_for(peer)
    with torch.no_grad():
        exact, ours = run_peer(peer, drawn)["masked_lm"], run_ours(model, drawn)["masked_lm"]
        theirs = run_peer(peer.bfloat16(), drawn)["masked_lm"]
    assert ours.dtype == torch.bfloat16
    assert (exact - ours.float()).norm() < min(0.1 * exact.norm(), 1.5 * (exact - theirs.float()).norm())
