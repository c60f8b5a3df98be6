"""Encoder-decoder folders in and out: not a bit and no field is lost, what is trained here opens there, exact sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from decoder_peers import TOLERANCE, save
from safetensors.torch import load_file, save_file
from seq2seq_peers import CONFIGS, VOCAB, build_peer, difference, draw_ids, run_ours, run_peer

from groundup.checkpoint import pretrained
from groundup.decoding.config import Decoding
from groundup.decoding.generate import Writer
from groundup.errors import CheckpointError, ConfigError, DataError
from groundup.families.bart import BART
from groundup.families.family import canonical
from groundup.families.marian import MARIAN
from groundup.families.t5 import MT5, T5
from groundup.model.config import (
    CausalLMHead,
    Dropout,
    Encoder,
    GatedFeedForward,
    LayerNormConfig,
    LearnedPositions,
    ModelConfig,
    PlainFeedForward,
    RelativeBias,
    RMSNormConfig,
    SinusoidalPositions,
)
from groundup.model.estimate import count_parameters
from groundup.model.initialize import initialize
from groundup.model.skeleton import build_skeleton
from groundup.model.transformer import Transformer

transformers = pytest.importorskip("transformers")
FURTHER = {"task_specific_params": {"translation": {"prefix": "translate"}}, "num_beams": 4, "max_length": 20}


def edit_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("has_head", [True, False])
@pytest.mark.parametrize("family", CONFIGS)
def test_not_a_bit_and_no_field_is_lost(family: str, has_head: bool, tmp_path: Path) -> None:
    peer = build_peer(family, has_head=has_head)
    peer.save_pretrained(tmp_path / "theirs")
    edit_config(tmp_path / "theirs", **FURTHER)
    loaded = pretrained.load(tmp_path / "theirs")
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    before, after = (load_file(tmp_path / each / "model.safetensors") for each in ("theirs", "ours"))
    # The sines of a bare Marian are no weights: whoever opens the folder computes them.
    constant = {name for name in before if family == "marian" and "embed_positions" in name}
    assert before.keys() - constant == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in after)
    assert json.loads((tmp_path / "ours" / "config.json").read_text()) == loaded.extra_config
    again = type(peer).from_pretrained(tmp_path / "ours").eval()
    assert difference(loaded.model.eval(), again) < TOLERANCE


@pytest.mark.parametrize("family", CONFIGS)
def test_a_folder_after_training_has_the_new_values_and_all_other_fields(family: str, tmp_path: Path) -> None:
    peer = build_peer(family)
    peer.save_pretrained(tmp_path / "theirs")
    edit_config(tmp_path / "theirs", **FURTHER)
    loaded = pretrained.load(tmp_path / "theirs")
    quiet = Dropout(**dict.fromkeys(Dropout.model_fields, 0.0) | {"attention_output": None})
    model = pretrained.load(tmp_path / "theirs", dropout=quiet).model
    save(tmp_path / "ours", model, extra_config=loaded.extra_config)
    after = json.loads((tmp_path / "ours" / "config.json").read_text())
    changed = {key for key in after if after[key] != loaded.extra_config.get(key)}
    assert changed & {"dropout_rate", "dropout"}
    assert {key: after[key] for key in FURTHER} == FURTHER
    assert after["decoder_start_token_id"] == loaded.extra_config["decoder_start_token_id"]
    assert pretrained.load(tmp_path / "ours").config.dropout == quiet
    assert pretrained.load(tmp_path / "ours").model.config.heads == loaded.config.heads


COMMON = {"vocab_size": VOCAB, "hidden_size": 24, "num_layers": 2, "num_heads": 4, "intermediate_size": 40}
COMMON |= {"num_token_types": 0, "causal": True, "max_length": 30, "padding_id": 1, "heads": (CausalLMHead(),)}
DESIGNS = {
    "t5": {
        "encoder": Encoder(num_layers=1),
        "attention_scale": 1.0,
        "position": RelativeBias(num_buckets=8, max_distance=9),
        "norm": RMSNormConfig(),
        "norm_places": ("input", "final"),
        "feed_forward": GatedFeedForward(activation="gelu_tanh"),
        "attention_bias": False,
        "feed_forward_bias": False,
        "output_init": "scaled",
        "initializer_range": 0.3,
    },
    "bart": {
        "encoder": Encoder(intermediate_size=20),
        "position": LearnedPositions(offset=2),
        "norm": LayerNormConfig(eps=1e-5),
        "dropout": Dropout(embedding=0.0, attention=0.2, residual=0.1, feed_forward=0.3),
    },
    "marian": {
        "encoder": Encoder(num_heads=2),
        "position": SinusoidalPositions(layout="halves"),
        "norm": LayerNormConfig(eps=1e-5),
        "norm_places": ("residual",),
        "feed_forward": PlainFeedForward(activation="silu"),
        "heads": (CausalLMHead(bias=True),),
    },
}


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("family", DESIGNS)
def test_what_is_trained_here_opens_there(family: str, is_tied: bool, tmp_path: Path) -> None:
    design = ModelConfig(**COMMON | DESIGNS[family] | {"tie_embeddings": is_tied})
    model = Transformer(design)
    initialize(model, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    save(tmp_path / "model", model.eval(), extra_config={"decoder_start_token_id": 3, "eos_token_id": 2})
    content = json.loads((tmp_path / "model" / "config.json").read_text())
    assert content["model_type"] == family
    assert content["decoder_start_token_id"] == 3
    again = pretrained.load(tmp_path / "model").config
    assert canonical(again) == canonical(design), "what matters in training alone included"
    opened = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model").eval()
    assert difference(model, opened) < TOLERANCE
    with torch.no_grad():
        model.blocks[0].cross_attention.q.weight.mul_(1.1)
    assert difference(model, opened) > 10 * TOLERANCE


def test_a_design_that_no_family_has_is_written_under_our_own_names(tmp_path: Path) -> None:
    for values in ({"position": LearnedPositions(offset=1)}, {"qk_norm": True}, {"norm": RMSNormConfig()}):
        design = ModelConfig(**COMMON | DESIGNS["bart"] | values)
        model = Transformer(design)
        initialize(model, 0)
        folder = save(tmp_path / next(iter(values)), model)
        assert json.loads((folder / "config.json").read_text())["model_type"] == "groundup"
        again = pretrained.load(folder)
        assert again.config == design
        ids = draw_ids()
        for name, expected in run_ours(model.eval(), *ids).items():
            assert torch.equal(run_ours(again.model.eval(), *ids)[name], expected)


@pytest.mark.parametrize("family", ["t5", "t5 v1.1", "bart", "marian"])
def test_given_heads_keep_what_the_weights_were_trained_with(family: str, tmp_path: Path) -> None:
    peer = build_peer(family)
    peer.save_pretrained(tmp_path)
    loaded = pretrained.load(tmp_path, heads=[CausalLMHead()])
    assert not loaded.fresh and not loaded.dropped
    assert difference(loaded.model.eval(), peer) < TOLERANCE
    bare = pretrained.load(tmp_path, heads=[])
    assert bare.config.heads == ()
    assert bool(bare.dropped) == (family != "t5")


def test_copies_of_old_folders_are_read_and_must_agree(tmp_path: Path) -> None:
    """Files of transformers 4 hold the tied matrix up to four times, and T5's a table that nothing reads."""
    peer = build_peer("t5")
    peer.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    for name in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = tensors["shared.weight"].clone()
    unread = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    tensors[unread] = torch.randn(8, 4)
    save_file(tensors, tmp_path / "model.safetensors")
    loaded = pretrained.load(tmp_path)
    assert loaded.dropped == (unread,)
    assert difference(loaded.model.eval(), peer) < TOLERANCE
    save(tmp_path / "again", loaded.model, extra_config=loaded.extra_config, unused=loaded.unused)
    again = load_file(tmp_path / "again" / "model.safetensors")
    assert torch.equal(again[unread], tensors[unread]), "and comes back"
    tensors["lm_head.weight"][0, 0] += 1
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"'lm_head.weight' differs from 'embedding.token.weight'"):
        pretrained.load(tmp_path)


@pytest.mark.parametrize("family", ["bart", "marian"])
def test_embeddings_that_were_trained_apart_are_refused_with_a_cure_that_is_one(family: str, tmp_path: Path) -> None:
    build_peer(family, tie_word_embeddings=False).save_pretrained(tmp_path)
    with pytest.raises(
        CheckpointError,
        match="encoder and decoder share one embedding here; those that were trained apart have no slot",
    ):
        pretrained.load(tmp_path)


def test_marian_may_hold_its_sines(tmp_path: Path) -> None:
    peer = build_peer("marian")
    peer.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    for side in ("encoder", "decoder"):
        tensors[f"model.{side}.embed_positions.weight"] = peer.model.encoder.embed_positions.weight.detach().clone()
    save_file(tensors, tmp_path / "model.safetensors")
    assert difference(pretrained.load(tmp_path).model.eval(), peer) < TOLERANCE
    tensors["model.encoder.embed_positions.weight"][3, 3] += 0.01
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="holds other values than the model computes with"):
        pretrained.load(tmp_path)


@pytest.mark.parametrize(
    ("family", "values", "message"),
    [
        ("t5", {"architectures": ["T5EncoderModel"]}, r"architectures: 'T5EncoderModel' is not supported"),
        ("t5", {"is_encoder_decoder": False}, "half of an encoder-decoder is not supported"),
        ("t5", {"feed_forward_proj": "gated-geglu"}, "feed_forward_proj: is not supported"),
        ("t5", {"relative_attention_num_buckets": 7}, "must be even"),
        ("t5", {"is_gated_act": True}, "is_gated_act: contradicts feed_forward_proj"),
        ("t5", {"tie_word_embeddings": "yes"}, "tie_word_embeddings: must be true or false"),
        (
            "bart",
            {"architectures": ["BartForSequenceClassification"]},
            "'BartForSequenceClassification' is not supported",
        ),
        ("bart", {"decoder_attention_heads": 5}, "decoder_attention_heads: must divide d_model 32, got 5"),
        ("bart", {"encoder_layerdrop": 0.1}, "encoder_layerdrop: blocks that are left out"),
        ("bart", {"normalize_before": True}, "another model type, 'mbart'"),
        ("bart", {"static_position_embeddings": True}, "static_position_embeddings: is not what"),
        ("bart", {"pad_token_id": VOCAB}, f"pad_token_id: must be below vocab_size {VOCAB}"),
        ("marian", {"share_encoder_decoder_embeddings": False}, "two embeddings are not supported"),
        ("marian", {"decoder_vocab_size": 7}, "a vocabulary of its own for the decoder"),
        ("marian", {"normalize_embedding": True}, "normalize_embedding: is not what"),
    ],
    ids=str,
)
def test_other_arithmetic_is_refused(family: str, values: dict[str, object], message: str, tmp_path: Path) -> None:
    build_peer(family).save_pretrained(tmp_path)
    edit_config(tmp_path, **values)
    with pytest.raises((ConfigError, CheckpointError), match=message):
        pretrained.load(tmp_path)


def test_a_head_of_the_wrong_shape_is_named(tmp_path: Path) -> None:
    build_peer("bart").save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["final_logits_bias"] = torch.zeros(1, VOCAB + 2)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"'final_logits_bias' has another shape .* \[1, 60\], got \[1, 62\]"):
        pretrained.load(tmp_path)


def test_ids_and_lengths_beyond_the_design_are_named_on_both_sides(tmp_path: Path) -> None:
    peer = build_peer("bart")
    peer.save_pretrained(tmp_path)
    writer = Writer(pretrained.load(tmp_path).model.eval(), lambda ids: "", end_id=2, start_ids=(3,))
    assert len(writer.write([np.array([5, 6])], Decoding(max_tokens=4))) == 1
    with pytest.raises(DataError, match="input_ids: an id is outside 0 to 59, got 60"):
        writer.write([np.array([5, 60])], Decoding(max_tokens=4))
    with pytest.raises(DataError, match="is longer than the 40 positions of the model, got 41"):
        writer.write([np.full(41, 5)], Decoding(max_tokens=4))
    with pytest.raises(DataError, match="start_ids: are needed to begin an answer"):
        Writer(writer.model, lambda ids: "", end_id=2)


T5_SIZES = {
    "small": ({}, 60_506_624),
    "base": ({"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}, 222_903_552),
    "large": ({"d_model": 1024, "d_ff": 4096, "num_layers": 24, "num_heads": 16}, 737_668_096),
}
V1_1 = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
BART_BASE = {
    "d_model": 768,
    **{
        f"{side}_{key}": value
        for side in ("encoder", "decoder")
        for key, value in (("layers", 6), ("attention_heads", 12), ("ffn_dim", 3072))
    },
}
OPUS = {
    "d_model": 512,
    "activation_function": "swish",
    "scale_embedding": True,
    "max_position_embeddings": 512,
    **{
        f"{side}_{key}": value
        for side in ("encoder", "decoder")
        for key, value in (("layers", 6), ("attention_heads", 8), ("ffn_dim", 2048))
    },
}
PUBLISHED = {
    **{f"T5 {name}": (T5, "T5ForConditionalGeneration", "T5Config", *each) for name, each in T5_SIZES.items()},
    "T5 v1.1 base": (
        T5,
        "T5ForConditionalGeneration",
        "T5Config",
        {"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12, **V1_1},
        247_577_856,
    ),
    "mT5 small": (MT5, "MT5ForConditionalGeneration", "MT5Config", {"tie_word_embeddings": False}, 300_176_768),
    "BART base": (BART, "BartForConditionalGeneration", "BartConfig", BART_BASE, 139_420_416),
    "BART large": (BART, "BartForConditionalGeneration", "BartConfig", {}, 406_291_456),
    "OPUS-MT en-de": (MARIAN, "MarianMTModel", "MarianConfig", OPUS, 73_886_208),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_the_published_sizes(name: str) -> None:
    family, architecture, config_name, values, expected = PUBLISHED[name]
    with torch.device("meta"):
        peer = getattr(transformers, architecture)(getattr(transformers, config_name)(**values))
    theirs = {each: tuple(tensor.shape) for each, tensor in peer.state_dict().items() if "embed_tokens" not in each}
    if values.get("tie_word_embeddings", True):
        del theirs["lm_head.weight"]
    if name.startswith("OPUS"):
        theirs = {each: shape for each, shape in theirs.items() if "embed_positions" not in each}
    config = family.to_config({**values, "architectures": [architecture]}, theirs.keys(), None, name)
    model = build_skeleton(config)
    written = {each: tuple(tensor.shape) for each, tensor in family.write_map(config).write(model.state_dict()).items()}
    assert written == theirs
    # The bias of the head is a parameter here; transformers keeps it as a buffer and does not count it.
    bias = config.vocab_size if config.heads[0].bias else 0
    assert sum(parameter.numel() for parameter in model.parameters()) == expected + bias
    assert sum(count_parameters(config).values()) == expected + bias


def test_padding_is_no_part_of_the_comparison() -> None:
    """The peer answers the same to each pair alone."""
    peer = build_peer("t5")
    sources, targets = draw_ids()
    with torch.no_grad():
        whole = run_peer(peer, sources, targets)["logits"]
        alone = torch.cat([run_peer(peer, [x], [y])["logits"] for x, y in zip(sources, targets, strict=True)])
    assert (whole - alone).abs().max() < TOLERANCE
