"""Llama folders go out as they came in, and what is trained here computes the same in transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from decoder_peers import TEXTS, TOLERANCE, difference, run_ours, save, train
from llama_peers import ARCHITECTURES, SIZES, build_peer
from safetensors.torch import load_file, save_file

from groundup.checkpoint import pretrained
from groundup.errors import CheckpointError
from groundup.families.llama import LLAMA
from groundup.model.config import (
    CausalLMHead,
    Dropout,
    GatedFeedForward,
    ModelConfig,
    RMSNormConfig,
    RotaryPositions,
)
from groundup.model.estimate import count_parameters
from groundup.model.transformer import Transformer
from groundup.text.tokenizer import train_tokenizer
from groundup.text.tokenizer_config import ByteBPE

transformers = pytest.importorskip("transformers")


def read_all(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of every shard."""
    return {name: tensor for path in folder.glob("model*.safetensors") for name, tensor in load_file(path).items()}


def assert_same_tensors(before: Path, after: Path) -> None:
    theirs, ours = read_all(before), read_all(after)
    assert theirs.keys() == ours.keys()
    assert all(theirs[name].dtype == ours[name].dtype and torch.equal(theirs[name], ours[name]) for name in theirs)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("is_tied", [True, False])
def test_a_folder_comes_back_bit_by_bit(architecture: str, is_tied: bool, tmp_path: Path) -> None:
    peer = build_peer(
        architecture, tie_word_embeddings=is_tied, attention_bias=True, pad_token_id=0, rope_interleaved=False
    )
    peer.save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs")
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    assert_same_tensors(tmp_path / "theirs", tmp_path / "ours")
    assert json.loads((tmp_path / "ours" / "config.json").read_text()) == loaded.extra_config
    opened, report = getattr(transformers, architecture).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), "no tensor missing, unexpected or of another shape"
    assert difference(loaded.model.eval(), opened.eval()) == difference(loaded.model.eval(), peer)


def test_a_folder_of_many_files_in_bfloat16(tmp_path: Path) -> None:
    build_peer().to(torch.bfloat16).save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    assert len(list((tmp_path / "theirs").glob("model-*-of-*.safetensors"))) > 2
    loaded = pretrained.load(tmp_path / "theirs")
    opened = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "theirs", dtype=torch.float32).eval()
    assert difference(loaded.model.eval(), opened) < TOLERANCE
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    assert_same_tensors(tmp_path / "theirs", tmp_path / "ours")
    next((tmp_path / "theirs").glob("model-00002-of-*")).unlink()
    with pytest.raises(CheckpointError, match=r"of which model-00002-of-.* is missing"):
        pretrained.load(tmp_path / "theirs")


def write_as_in_2023(peer: torch.nn.Module, folder: Path, *, base: float | None, stored: float) -> None:
    """As the first folders are: frequencies stored, the base by itself, or nowhere where it is the usual one."""
    peer.save_pretrained(folder)
    content = json.loads((folder / "config.json").read_text())
    del content["rope_parameters"]
    own = {} if base is None else {"rope_theta": base}
    (folder / "config.json").write_text(json.dumps(content | own | {"rope_scaling": None, "pretraining_tp": 1}))
    tensors = load_file(folder / "model.safetensors")
    for number in range(SIZES["num_hidden_layers"]):
        frequencies = 1.0 / (stored ** (torch.arange(0, 8, 2).float() / 8))
        tensors[f"model.layers.{number}.self_attn.rotary_emb.inv_freq"] = frequencies
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize("base", [500.0, 10_000.0])
def test_a_folder_of_the_first_kind(base: float, tmp_path: Path) -> None:
    peer = build_peer(rope_parameters={"rope_type": "default", "rope_theta": base})
    write_as_in_2023(peer, tmp_path / "theirs", base=None if base == 10_000.0 else base, stored=base)
    loaded = pretrained.load(tmp_path / "theirs")
    assert not loaded.fresh and not loaded.dropped
    assert difference(loaded.model.eval(), peer) < TOLERANCE
    opened = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "theirs").eval()
    assert difference(loaded.model, opened) < TOLERANCE, "transformers reads the base from the old place too"
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    assert json.loads((tmp_path / "ours" / "config.json").read_text()) == loaded.extra_config
    # The control: a base that is not the one of the stored frequencies.
    write_as_in_2023(peer, tmp_path / "other", base=base + 10, stored=base)
    with pytest.raises(CheckpointError, match=r"self_attn\.rotary_emb\.inv_freq' holds other values"):
        pretrained.load(tmp_path / "other")


DESIGN = ModelConfig(
    vocab_size=300,
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    intermediate_size=72,
    max_length=24,
    num_token_types=0,
    causal=True,
    position=RotaryPositions(base=20.0),
    norm=RMSNormConfig(eps=1e-6),
    norm_places=("input", "final"),
    feed_forward=GatedFeedForward(),
    attention_bias=False,
    feed_forward_bias=False,
    dropout=Dropout(embedding=0.05, attention=0.1, residual=0.2),
    output_init="zero",
    heads=(CausalLMHead(),),
)


@pytest.mark.parametrize("is_tied", [True, False])
def test_what_is_trained_here_opens_there_with_its_tokenizer(is_tied: bool, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(ByteBPE(vocab_size=300), TEXTS * 3)
    own = {"vocab_size": tokenizer.vocab_size, "padding_id": tokenizer.pad_id, "tie_embeddings": is_tied}
    design = DESIGN.model_copy(update=own)
    model = train(design, tokenizer)
    save(tmp_path / "model", model, tokenizer_files=tokenizer.files())
    again = pretrained.load(tmp_path / "model")
    assert again.config == design, "the start, the padding row and all dropout included"
    opened = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert type(opened).__name__ == "LlamaForCausalLM"
    encode = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    # The control: the base that a reader takes who does not find ours.
    wrong = load_from_base(tmp_path / "model", 10_000.0)
    with torch.no_grad():
        for text in TEXTS:
            ids = tokenizer.encode(text).input_ids
            inputs = encode(text, return_tensors="pt")
            assert inputs["input_ids"][0].tolist() == ids.tolist()
            ours = run_ours(model, [ids])["logits"]
            assert (opened(**inputs).logits[0] - ours).abs().max() < TOLERANCE
            if len(ids) > 4:
                assert (wrong(**inputs).logits[0] - ours).abs().max() > 10 * TOLERANCE


def load_from_base(folder: Path, base: float) -> torch.nn.Module:
    config = transformers.AutoConfig.from_pretrained(folder)
    assert config.rope_parameters == {"rope_theta": DESIGN.position.base, "rope_type": "default"}
    config.rope_parameters["rope_theta"] = base
    return transformers.AutoModelForCausalLM.from_pretrained(folder, config=config).eval()


def test_a_folder_after_training_has_the_new_values_and_all_other_fields(tmp_path: Path) -> None:
    peer = build_peer(bos_token_id=1, eos_token_id=[2, 4], task="chat")
    peer.save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs", dropout=Dropout(embedding=0.0, attention=0.2, residual=0.3))
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    after = json.loads((tmp_path / "ours" / "config.json").read_text())
    new = {"attention_dropout": 0.2, "residual_dropout": 0.3, "rope_theta": 500.0}
    assert after == loaded.extra_config | new
    assert transformers.AutoConfig.from_pretrained(tmp_path / "ours").eos_token_id == [2, 4]


PUBLISHED = {
    "Llama-2 7B": ({"max_position_embeddings": 4096, "rms_norm_eps": 1e-5}, 6_738_415_616),
    "Llama-3 8B": (
        {
            "vocab_size": 128_256,
            "intermediate_size": 14_336,
            "num_key_value_heads": 8,
            "max_position_embeddings": 8192,
            "rope_theta": 500_000.0,
        },
        8_030_261_248,
    ),
    "TinyLlama 1.1B": (
        {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_key_value_heads": 4},
        1_100_048_384,
    ),
    "SmolLM2 135M": (
        {
            "vocab_size": 49_152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "max_position_embeddings": 8192,
            "rope_theta": 100_000,
            "tie_word_embeddings": True,
        },
        134_515_008,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_the_published_sizes(name: str) -> None:
    values, expected = PUBLISHED[name]
    config = LLAMA.to_config({**values, "architectures": ["LlamaForCausalLM"]}, (), None, name)
    assert sum(count_parameters(config).values()) == expected
    with torch.device("meta"):
        model = Transformer(config)
        peer = transformers.LlamaForCausalLM(transformers.LlamaConfig(**values))
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert sum(parameter.numel() for parameter in peer.parameters()) == expected
    shapes = {ours: tuple(tensor.shape) for ours, tensor in LLAMA.write_map(config).write(model.state_dict()).items()}
    assert shapes == {theirs: tuple(parameter.shape) for theirs, parameter in peer.named_parameters()}
