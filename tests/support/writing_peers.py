"""Tiny models of transformers that write, with an encoder and without, and how ours read their answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from groundup.checkpoint import pretrained
from groundup.decoding.config import Decoding
from groundup.decoding.generate import Writer, Written
from groundup.model.config import RotaryPositions
from groundup.model.transformer import Transformer

transformers = pytest.importorskip("transformers")

VOCAB, NEW, END = 16, 12, 0
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
WINDOW = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}
ENDS = {"bos_token_id": END, "eos_token_id": END, "pad_token_id": END}


def build_gpt2() -> torch.nn.Module:
    config = transformers.GPT2Config(vocab_size=VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, **ENDS)
    return transformers.GPT2LMHeadModel(config)


def build_llama_like(name: str, **own: object) -> torch.nn.Module:
    sizes = {
        "vocab_size": VOCAB,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
    }
    config = getattr(transformers, f"{name}Config")(**{**sizes, **own, **ENDS})
    return getattr(transformers, f"{name}ForCausalLM")(config)


def build_t5(**values: object) -> torch.nn.Module:
    sizes = {"vocab_size": VOCAB, "d_model": 32, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_heads": 4}
    config = transformers.T5Config(
        **sizes, relative_attention_num_buckets=8, decoder_start_token_id=END, **ENDS, **values
    )
    return transformers.T5ForConditionalGeneration(config)


def build_t5_gated() -> torch.nn.Module:
    theirs = build_t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    theirs.lm_head.weight = torch.nn.Parameter(torch.randn(VOCAB, 32))
    return theirs


def build_bart(name: str = "Bart", head: str = "ForConditionalGeneration") -> torch.nn.Module:
    config = getattr(transformers, f"{name}Config")(
        vocab_size=VOCAB,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=40,
        decoder_ffn_dim=40,
        max_position_embeddings=64,
        decoder_start_token_id=END,
        forced_eos_token_id=None,
        **ENDS,
    )
    theirs = getattr(transformers, name + head)(config)
    theirs.final_logits_bias.normal_()[:, END] += 2.0  # else an end is rare
    return theirs


def build_marian() -> torch.nn.Module:
    return build_bart("Marian", "MTModel")


def move_positions(ours: Transformer) -> None:
    ours.embedding.position.weight.copy_(ours.embedding.position.weight.flip(0))


def turn_otherwise(ours: Transformer) -> None:
    ours.embedding.position.values = RotaryPositions(base=100.0)


def see_all(ours: Transformer) -> None:
    for block in ours.blocks:
        block.attention.window = None


def move_waves(ours: Transformer) -> None:
    ours.embedding.position.base = 10.0


FAMILIES: dict[str, tuple[Callable[[], torch.nn.Module], Callable[[Transformer], None]]] = {
    "gpt2": (build_gpt2, move_positions),
    "llama": (partial(build_llama_like, "Llama"), turn_otherwise),
    "llama 3.1": (partial(build_llama_like, "Llama", rope_parameters=LLAMA3), turn_otherwise),
    "mistral": (partial(build_llama_like, "Mistral", sliding_window=4), see_all),
    "qwen2": (partial(build_llama_like, "Qwen2", num_key_value_heads=1, **WINDOW), see_all),
    "qwen3": (partial(build_llama_like, "Qwen3", head_dim=16, **WINDOW), see_all),
    "t5": (build_t5, move_positions),
    "t5 v1.1": (build_t5_gated, move_positions),
    "bart": (build_bart, move_positions),
    "marian": (build_marian, move_waves),
}
"""A model of transformers, and how ours forgets where its tokens stand, or how far they see."""


class Pair(NamedTuple):
    theirs: torch.nn.Module
    ours: Transformer

    def write(self, prompts: list[np.ndarray], decoding: Decoding, **options: int) -> list[Written]:
        start_ids = () if self.ours.config.encoder is None else (END,)
        writer = Writer(self.ours, lambda ids: "", end_id=END, start_ids=start_ids)
        return writer.write(prompts, decoding, **options)


def load_pair(family: str, folder: Path) -> Pair:
    """The same weights on both sides, none of them neutral."""
    torch.manual_seed(0)
    theirs = FAMILIES[family][0]().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.requires_grad:  # waves of positions are what they are
                parameter.add_(0.2 * torch.randn_like(parameter))
    theirs.save_pretrained(folder / family)
    return Pair(theirs, pretrained.load(folder / family).model.eval())


def draw_prompts(count: int, *, longest: int = 40) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.integers(1, VOCAB, draw.integers(1, longest)) for _ in range(count)]


class Answer(NamedTuple):
    token_ids: tuple[int, ...]
    is_ended: bool
    score: float | None


def read(written: list[Written]) -> list[Answer]:
    return [Answer(each.token_ids, each.reason == "end", each.score) for each in written]


@torch.no_grad()
def generate(theirs: torch.nn.Module, prompts: list[np.ndarray], **settings: object) -> list[Answer]:
    """Their answers; prompts of one length at a time, so that nothing is padded."""
    by_length: dict[int, list[int]] = {}
    for number, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(number)
    count, found = int(settings.get("num_return_sequences", 1)), dict[int, list[Answer]]()
    for length, numbers in by_length.items():
        ids = torch.from_numpy(np.stack([prompts[number] for number in numbers]))
        options = {"max_new_tokens": NEW, "do_sample": False, "return_dict_in_generate": True, "output_scores": True}
        out = theirs.generate(ids, attention_mask=torch.ones_like(ids), **options, **settings)
        scores = out.get("sequences_scores", torch.zeros(0)).tolist() or [None] * len(out.sequences)
        written = out.sequences[:, 1 if theirs.config.is_encoder_decoder else length :].tolist()
        rows = [
            Answer(tuple(each for each in row if each != END), END in row, score)
            for row, score in zip(written, scores, strict=True)
        ]
        found |= {number: rows[place * count : (place + 1) * count] for place, number in enumerate(numbers)}
    return [each for number in range(len(prompts)) for each in found[number]]
