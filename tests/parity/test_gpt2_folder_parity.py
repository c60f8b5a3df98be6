"""GPT-2 folders go out as they came in, and what is trained here computes the same in transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from decoder_peers import TEXTS, TOLERANCE, difference, run_ours, save, train
from gpt2_peers import ARCHITECTURES, SIZES, build_peer
from safetensors.torch import load_file

from groundup.checkpoint import pretrained
from groundup.families.gpt2 import GPT2
from groundup.model.config import CausalLMHead, Dropout, LayerNormConfig, ModelConfig, PlainFeedForward
from groundup.model.estimate import count_parameters
from groundup.model.transformer import Transformer
from groundup.text.tokenizer import train_tokenizer
from groundup.text.tokenizer_config import ByteBPE

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("is_tied", [True, False])
def test_a_folder_comes_back_bit_by_bit(architecture: str, is_tied: bool, tmp_path: Path) -> None:
    peer = build_peer(architecture, tie_word_embeddings=is_tied, n_ctx=32, summary_type="mean", task_specific_params={})
    peer.save_pretrained(tmp_path / "theirs")
    loaded = pretrained.load(tmp_path / "theirs")
    save(tmp_path / "ours", loaded.model, extra_config=loaded.extra_config)
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert json.loads((tmp_path / "ours" / "config.json").read_text()) == loaded.extra_config
    opened, report = getattr(transformers, architecture).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), "no tensor missing, unexpected or of another shape"
    assert difference(loaded.model.eval(), opened.eval()) == difference(loaded.model.eval(), peer)


def write_as_in_2019(peer: torch.nn.Module, folder: Path) -> None:
    """As the first folders are: no prefix though there is a head, masks stored, the tied matrix twice, pickled."""
    peer.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    old = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    old["lm_head.weight"] = old["wte.weight"].clone()
    for number in range(SIZES["n_layer"]):
        old[f"h.{number}.attn.bias"] = torch.ones(1, 1, 32, 32, dtype=torch.uint8).tril()
        old[f"h.{number}.attn.masked_bias"] = torch.tensor(-1e4)
    torch.save(old, folder / "pytorch_model.bin")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_ctx": 32}))


def test_a_folder_of_the_first_kind(tmp_path: Path) -> None:
    peer = build_peer()
    write_as_in_2019(peer, tmp_path)
    loaded = pretrained.load(tmp_path)
    assert not loaded.fresh and not loaded.dropped
    assert difference(loaded.model.eval(), peer) < TOLERANCE


DESIGN = ModelConfig(
    vocab_size=300,
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    intermediate_size=72,
    max_length=24,
    num_token_types=0,
    causal=True,
    norm=LayerNormConfig(eps=1e-6),
    norm_places=("input", "final"),
    feed_forward=PlainFeedForward(activation="gelu_tanh"),
    dropout=Dropout(embedding=0.0, attention=0.1, residual=0.2),
    output_init="zero",
    heads=(CausalLMHead(),),
)


def test_what_is_trained_here_opens_there_with_its_tokenizer(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(ByteBPE(vocab_size=300), TEXTS * 3)
    design = DESIGN.model_copy(update={"vocab_size": tokenizer.vocab_size, "padding_id": tokenizer.pad_id})
    model = train(design, tokenizer)
    save(tmp_path / "model", model, tokenizer_files=tokenizer.files())
    again = pretrained.load(tmp_path / "model")
    assert again.config == design, "the start and the padding row included"
    opened = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert type(opened).__name__ == "GPT2LMHeadModel"
    encode = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    with torch.no_grad():
        for text in TEXTS:
            ids = tokenizer.encode(text).input_ids
            inputs = encode(text, return_tensors="pt")
            assert inputs["input_ids"][0].tolist() == ids.tolist()
            ours = run_ours(model, [ids])["logits"]
            assert (opened(**inputs).logits[0] - ours).abs().max() < TOLERANCE
            # The control: token types, which the tokenizer offers to encoders, would be taken for tokens.
            wrong = opened(**inputs, token_type_ids=torch.zeros_like(inputs["input_ids"])).logits[0]
            assert (wrong - ours).abs().max() > 10 * TOLERANCE


PUBLISHED = {
    "gpt2": ({}, 124_439_808),
    "gpt2-medium": ({"n_embd": 1024, "n_layer": 24, "n_head": 16}, 354_823_168),
    "gpt2-large": ({"n_embd": 1280, "n_layer": 36, "n_head": 20}, 774_030_080),
    "gpt2-xl": ({"n_embd": 1600, "n_layer": 48, "n_head": 25}, 1_557_611_200),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_the_published_sizes(name: str) -> None:
    values, expected = PUBLISHED[name]
    config = GPT2.to_config({**values, "architectures": ["GPT2LMHeadModel"]}, (), None, name)
    assert sum(count_parameters(config).values()) == expected
    with torch.device("meta"):
        model = Transformer(config)
        peer = transformers.GPT2LMHeadModel(transformers.GPT2Config(**values))
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert sum(parameter.numel() for parameter in peer.parameters()) == expected
    shapes = {ours: tuple(tensor.shape) for ours, tensor in GPT2.write_map(config).write(model.state_dict()).items()}
    assert shapes == {theirs: tuple(parameter.shape) for theirs, parameter in peer.named_parameters()}
