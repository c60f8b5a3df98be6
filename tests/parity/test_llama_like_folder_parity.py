"""Folders of Mistral, Qwen2, Qwen3, Llama 3.1 come back bit by bit, open in transformers, have published sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from decoder_peers import TOLERANCE, difference, save
from llama_peers import build_peer
from safetensors.torch import load_file

from groundup.checkpoint import pretrained
from groundup.errors import CheckpointError
from groundup.families.registry import FAMILIES
from groundup.model.config import Dropout
from groundup.model.estimate import count_parameters
from groundup.model.skeleton import build_skeleton

transformers = pytest.importorskip("transformers")

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
FOLDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Mistral": ("Mistral", {}),
    "Mistral without a window": ("Mistral", {"sliding_window": None}),
    "Qwen2": ("Qwen2", {}),
    "Qwen2 without a window": ("Qwen2", {"use_sliding_window": False, "tie_word_embeddings": True}),
    "Qwen3": ("Qwen3", {}),
    "Qwen3 with biases": ("Qwen3", {"attention_bias": True, "use_sliding_window": False}),
    "Llama 3.1": ("Llama", {"rope_parameters": LLAMA3}),
}


def read_all(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of every shard."""
    return {name: tensor for path in folder.glob("model*.safetensors") for name, tensor in load_file(path).items()}


def assert_same_tensors(before: Path, after: Path) -> None:
    theirs, ours = read_all(before), read_all(after)
    assert theirs.keys() == ours.keys()
    assert all(theirs[name].dtype == ours[name].dtype and torch.equal(theirs[name], ours[name]) for name in theirs)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_comes_back_bit_by_bit(name: str, tmp_path: Path) -> None:
    family, values = FOLDERS[name]
    peer = build_peer(f"{family}ForCausalLM", **values, pad_token_id=0, eos_token_id=[2, 4], task="chat")
    peer.save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs")
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    assert_same_tensors(tmp_path / "theirs", tmp_path / "ours")
    assert json.loads((tmp_path / "ours" / "config.json").read_text()) == loaded.extra_config
    opened, report = type(peer).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), "no tensor missing, unexpected or of another shape"
    assert difference(loaded.model.eval(), opened.eval()) == difference(loaded.model.eval(), peer)


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_written_without_a_folder_to_follow_opens_with_the_same_numbers(name: str, tmp_path: Path) -> None:
    family, values = FOLDERS[name]
    build_peer(f"{family}ForCausalLM", **values).save_pretrained(tmp_path / "theirs")
    model = pretrained.load(tmp_path / "theirs").model.eval()
    save(tmp_path / "ours", model)
    assert pretrained.load(tmp_path / "ours").config == model.config
    opened, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values())
    # A Mistral without a window is a Llama, where no folder says otherwise.
    assert type(opened).__name__ == ("Llama" if name == "Mistral without a window" else family) + "ForCausalLM"
    assert difference(model, opened.eval()) < TOLERANCE


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_after_training_stays_of_its_family(name: str, tmp_path: Path) -> None:
    family, values = FOLDERS[name]
    build_peer(f"{family}ForCausalLM", **values, eos_token_id=[2, 4], task="chat").save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs", dropout=Dropout(embedding=0.0, attention=0.2, residual=0.3))
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    again = pretrained.load(tmp_path / "ours")
    assert again.config == loaded.config
    for key in ("model_type", "architectures", "eos_token_id", "task", "sliding_window", "layer_types"):
        assert again.extra_config.get(key) == loaded.extra_config.get(key)


@pytest.mark.parametrize("family", ["Mistral", "Qwen2", "Qwen3"])
def test_a_folder_of_many_files_in_bfloat16(family: str, tmp_path: Path) -> None:
    build_peer(f"{family}ForCausalLM").to(torch.bfloat16).save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    assert len(list((tmp_path / "theirs").glob("model-*-of-*.safetensors"))) > 2
    loaded = pretrained.load(tmp_path / "theirs")
    opened = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "theirs", dtype=torch.float32).eval()
    assert difference(loaded.model.eval(), opened) < TOLERANCE
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    assert_same_tensors(tmp_path / "theirs", tmp_path / "ours")
    next((tmp_path / "theirs").glob("model-00002-of-*")).unlink()
    with pytest.raises(CheckpointError, match=r"of which model-00002-of-.* is missing"):
        pretrained.load(tmp_path / "theirs")


@pytest.mark.parametrize("family", ["Mistral", "Qwen2", "Qwen3"])
def test_a_folder_of_several_legacy_files(family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peer = build_peer(f"{family}ForCausalLM")
    peer.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    places = {name: f"pytorch_model-0000{1 + number % 2}-of-00002.bin" for number, name in enumerate(sorted(state))}
    for file in set(places.values()):
        torch.save({name: state[name] for name, place in places.items() if place == file}, tmp_path / file)
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    model = pretrained.load(tmp_path).model.eval()
    assert "read by torch's restricted unpickler" in capsys.readouterr().err
    assert difference(model, peer) < TOLERANCE
    (tmp_path / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(CheckpointError, match=r"of which pytorch_model-00002-of-00002\.bin is missing"):
        pretrained.load(tmp_path)


QWEN2_05B = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
    "rope_theta": 1_000_000.0,
}
QWEN2_7B = {
    "vocab_size": 152_064,
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "rope_theta": 1_000_000.0,
}
QWEN3_06B = {
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "max_position_embeddings": 40_960,
    "tie_word_embeddings": True,
    "rope_theta": 1_000_000,
}
QWEN3_8B = {
    "intermediate_size": 12_288,
    "num_hidden_layers": 36,
    "num_key_value_heads": 8,
    "max_position_embeddings": 40_960,
    "rope_theta": 1_000_000,
}
LLAMA31_8B = {
    "vocab_size": 128_256,
    "intermediate_size": 14_336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131_072,
    "rope_parameters": {**LLAMA3, "rope_theta": 500_000.0, "original_max_position_embeddings": 8192},
}
PUBLISHED: dict[str, tuple[str, dict[str, Any], int]] = {
    "Mistral 7B": ("Mistral", {}, 7_241_732_096),
    "Qwen2 0.5B": ("Qwen2", QWEN2_05B, 494_032_768),
    "Qwen2 7B": ("Qwen2", QWEN2_7B, 7_615_616_512),
    "Qwen3 0.6B": ("Qwen3", QWEN3_06B, 596_049_920),
    "Qwen3 8B": ("Qwen3", QWEN3_8B, 8_190_735_360),
    "Llama-3.1 8B": ("Llama", LLAMA31_8B, 8_030_261_248),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_the_published_sizes(name: str) -> None:
    family_name, values, expected = PUBLISHED[name]
    family = next(each for each in FAMILIES if each.model_type == family_name.lower())
    with torch.device("meta"):
        peer_config = getattr(transformers, f"{family_name}Config")(**values)
        peer = getattr(transformers, f"{family_name}ForCausalLM")(peer_config)
    config = family.to_config({**values, "architectures": [f"{family_name}ForCausalLM"]}, (), None, name)
    model = build_skeleton(config)
    assert sum(count_parameters(config).values()) == expected
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert sum(parameter.numel() for parameter in peer.parameters()) == expected
    shapes = {ours: tuple(tensor.shape) for ours, tensor in family.write_map(config).write(model.state_dict()).items()}
    assert shapes == {theirs: tuple(parameter.shape) for theirs, parameter in peer.named_parameters()}
