"""Attention maps are the probabilities that transformers' eager attention shows, of every family, layer and head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import decoder_peers
import gpt2_peers
import llama_peers
import numpy as np
import pytest
import seq2seq_peers
import torch
import xlnet_peers
from decoder_peers import TOLERANCE, VOCAB_SIZE, draw_ids, perturb, rebuild
from torch import Tensor

from groundup.model.attention_map import LayerMap, map_attention
from groundup.model.config import RotaryPositions, Window
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

transformers = pytest.importorskip("transformers")


def build_bert() -> torch.nn.Module:
    torch.manual_seed(0)
    size = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6, "intermediate_size": 80}
    config = transformers.BertConfig(vocab_size=VOCAB_SIZE, max_position_embeddings=32, pad_token_id=3, **size)
    return perturb(transformers.BertModel(config))


def build_albert() -> torch.nn.Module:
    torch.manual_seed(0)
    size = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6, "intermediate_size": 80}
    config = transformers.AlbertConfig(
        vocab_size=VOCAB_SIZE, embedding_size=20, max_position_embeddings=32, pad_token_id=3, **size
    )
    return perturb(transformers.AlbertModel(config))


def build_modernbert() -> torch.nn.Module:
    torch.manual_seed(0)
    size = {"hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 6, "intermediate_size": 80}
    config = transformers.ModernBertConfig(
        vocab_size=VOCAB_SIZE, max_position_embeddings=32, pad_token_id=3, local_attention=6, **size
    )
    return perturb(transformers.ModernBertModel(config))


PEERS: Mapping[str, Callable[[], torch.nn.Module]] = {
    "bert": build_bert,
    "albert": build_albert,
    "modernbert": build_modernbert,
    "gpt2": gpt2_peers.build_peer,
    "llama": llama_peers.build_peer,
    "xlnet": lambda: xlnet_peers.build_peer("XLNetModel"),
}


def read_peer(peer: torch.nn.Module, ids: Sequence[np.ndarray]) -> list[LayerMap]:
    """Padded on the right; each sequence's own rows and columns come back."""
    padded = torch.full((len(ids), max(map(len, ids))), 3)
    mask = torch.zeros_like(padded)
    for row, of_ids in enumerate(ids):
        padded[row, : len(of_ids)], mask[row, : len(of_ids)] = torch.from_numpy(of_ids), 1
    peer.set_attn_implementation("eager") if hasattr(peer, "set_attn_implementation") else None
    with torch.no_grad():
        layers = peer(input_ids=padded, attention_mask=mask, output_attentions=True).attentions
    return [cut(layer, [len(each) for each in ids], [len(each) for each in ids]) for layer in layers]


def cut(layer: Tensor, queries: Sequence[int], keys: Sequence[int]) -> LayerMap:
    return tuple(each[:, :rows, :columns] for each, rows, columns in zip(layer, queries, keys, strict=True))


def difference(ours: Sequence[LayerMap], theirs: Sequence[LayerMap]) -> float:
    assert len(ours) == len(theirs) > 1
    pairs = [pair for layers in zip(ours, theirs, strict=True) for pair in zip(*layers, strict=True)]
    assert all(one.shape == other.shape for one, other in pairs)
    return max(float((one - other).abs().max()) for one, other in pairs)


def assert_rows_sum_to_one(layers: Sequence[LayerMap]) -> None:
    for probabilities in (each for layer in layers for each in layer):
        assert (probabilities >= 0).all()
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(probabilities.shape[:-1]))


@pytest.mark.parametrize("family", PEERS)
def test_maps_are_those_of_transformers(family: str, tmp_path: Path) -> None:
    peer, ids = PEERS[family](), draw_ids()
    model = decoder_peers.load_from(peer, tmp_path)
    ours = map_attention(model, Packed.from_sequences(ids))["attention"]
    assert_rows_sum_to_one(ours)
    theirs = read_peer(peer, ids)
    assert difference(ours, theirs) < TOLERANCE
    shuffled = [tuple(each.roll(1, dims=0) for each in layer) for layer in ours]
    assert difference(shuffled, theirs) > 100 * TOLERANCE, "heads are told apart"
    assert difference(ours[::-1], theirs) > 100 * TOLERANCE, "layers are told apart"


@pytest.mark.parametrize("family", ["Mistral", "Qwen3"])
def test_windows_grouped_keys_and_norms_are_in_the_maps(family: str, tmp_path: Path) -> None:
    """A window of so many tokens, itself among them; norms on queries and keys."""
    torch.manual_seed(0)
    sizes = {**llama_peers.SIZES, "head_dim": 8, "sliding_window": 4}
    sizes |= {"use_sliding_window": True, "max_window_layers": 1} if family == "Qwen3" else {}
    config = getattr(transformers, f"{family}Config")(**sizes)
    peer = perturb(getattr(transformers, f"{family}ForCausalLM")(config))
    model, ids = decoder_peers.load_from(peer, tmp_path), draw_ids()
    packed, theirs = Packed.from_sequences(ids), read_peer(peer, ids)
    assert model.config.window is not None and model.config.window.size == 3
    assert model.config.qk_norm == (family == "Qwen3")
    assert difference(map_attention(model, packed)["attention"], theirs) < TOLERANCE
    for broken in (None, Window(size=4, layers=model.config.window.layers), Window(size=3, layers=(0,))):
        maps = map_attention(rebuild(model, window=broken), packed)["attention"]
        assert difference(maps, theirs) > 100 * TOLERANCE


def test_a_broken_rotation_makes_the_maps_differ(tmp_path: Path) -> None:
    peer, ids = llama_peers.build_peer(), draw_ids()
    broken = rebuild(decoder_peers.load_from(peer, tmp_path), position=RotaryPositions(base=490.0))
    maps = map_attention(broken, Packed.from_sequences(ids))["attention"]
    assert difference(maps, read_peer(peer, ids)) > 10 * TOLERANCE


@pytest.mark.parametrize("family", ["t5", "bart", "marian"])
def test_an_encoder_decoder_has_three_kinds_of_maps(family: str, tmp_path: Path) -> None:
    peer = seq2seq_peers.build_peer(family)
    peer.set_attn_implementation("eager")
    model = seq2seq_peers.load_from(peer, tmp_path)
    sources, targets = seq2seq_peers.draw_ids()
    ours = map_attention(model, Packed.from_sequences(targets), source=Packed.from_sequences(sources))
    assert set(ours) == {"attention", "encoder", "cross_attention"}
    (source_ids, source_mask), (target_ids, target_mask) = seq2seq_peers.pad(sources), seq2seq_peers.pad(targets)
    with torch.no_grad():
        out = peer(
            input_ids=source_ids,
            attention_mask=source_mask,
            decoder_input_ids=target_ids,
            decoder_attention_mask=target_mask,
            output_attentions=True,
        )
    rows, columns = [len(each) for each in targets], [len(each) for each in sources]
    theirs = {
        "attention": [cut(layer, rows, rows) for layer in out.decoder_attentions],
        "encoder": [cut(layer, columns, columns) for layer in out.encoder_attentions],
        "cross_attention": [cut(layer, rows, columns) for layer in out.cross_attentions],
    }
    for kind, layers in ours.items():
        assert_rows_sum_to_one(layers)
        assert difference(layers, theirs[kind]) < TOLERANCE, kind
        assert difference(layers[::-1], theirs[kind]) > 100 * TOLERANCE, kind


def test_maps_change_nothing(tmp_path: Path) -> None:
    """The pass that shows its probabilities ends in the same states, and the model is as it was."""
    model: Transformer = decoder_peers.load_from(llama_peers.build_peer(), tmp_path).train()
    packed = Packed.from_sequences(draw_ids())
    before = [block.attention.backend for block in model.blocks]
    first = model.eval()(packed)
    model.train()
    seen: list[Tensor] = []
    hook = model.final_norm.register_forward_hook(lambda *arguments: seen.append(arguments[-1]))
    map_attention(model, packed)
    hook.remove()
    torch.testing.assert_close(seen[0], first)
    assert model.training and [block.attention.backend for block in model.blocks] == before
