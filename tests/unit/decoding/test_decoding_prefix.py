"""A prompt that sees itself in both directions: what a cache gives is what a whole pass under the same order gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from small_decoders import build, decode, make_prompts

from groundup.decoding.config import Decoding
from groundup.decoding.continuation import Continuation
from groundup.decoding.generate import Writer
from groundup.errors import DataError
from groundup.model.attention_map import map_attention
from groundup.model.cache import Cache
from groundup.model.config import CausalLMHead, GatedFeedForward, RMSNormConfig, RotaryPositions, Window
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer

PREFIX = {"heads": (CausalLMHead(prefix=True),)}
GPT2 = {"norm_places": ("input", "final")}
LLAMA = GPT2 | {
    "num_kv_heads": 2,
    "position": RotaryPositions(),
    "norm": RMSNormConfig(),
    "feed_forward": GatedFeedForward(),
    "attention_bias": False,
    "feed_forward_bias": False,
}
FAMILIES = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "mistral": LLAMA | {"window": Window(size=4)},
    "qwen3": LLAMA | {"qk_norm": True, "head_dim": 16},
    "shifted": GPT2 | {"shifted_kv_heads": 2},
}
LENGTHS = (3, 9, 1, 6)


@torch.inference_mode()
def read(model: Transformer, ids: list[int], prefix: int) -> torch.Tensor:
    """Logits after each token, the whole text computed at once."""
    packed = Packed.from_sequences([np.array(ids)]).with_prefixes([prefix])
    return model.heads["causal_lm"](model(packed))


def write(model: Transformer, count: int) -> Iterator[tuple[list[list[int]], torch.Tensor]]:
    """The texts before each step, and the logits that the cache gives."""
    continuation = Continuation(model, [prompt.tolist() for prompt in make_prompts(*LENGTHS)], count)
    for _ in range(count):
        logits = continuation.next_logits()
        yield [list(text) for text in continuation.texts], logits
        continuation.extend(range(len(LENGTHS)), logits.argmax(dim=-1).tolist())


@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_cache_gives_what_a_whole_pass_gives(family: str) -> None:
    model = build(**FAMILIES[family], **PREFIX).double()
    largest, from_causal = 0.0, 0.0
    for texts, found in write(model, 5):
        for place, (text, length) in enumerate(zip(texts, LENGTHS, strict=True)):
            largest = max(largest, (read(model, text, length)[-1] - found[place]).abs().max().item())
            if length > 2:
                from_causal = max(from_causal, (read(model, text, 0)[-1] - found[place]).abs().max().item())
    assert largest < 1e-5, "in float64 but for the logits that are handed out"
    assert from_causal > 0.1, "the control: a prompt read from left to right says something else"


def test_a_text_that_fills_all_positions_is_read_anew_with_what_is_left_of_its_prompt() -> None:
    model = build(**GPT2, **PREFIX, max_length=10).double()
    starts, kept = [0] * len(LENGTHS), set[int]()
    for texts, found in write(model, 14):
        for place, (text, length) in enumerate(zip(texts, LENGTHS, strict=True)):
            if len(text) - starts[place] > 10:
                starts[place] = len(text) - 5
                kept.add(length - starts[place])
            expected = read(model, text[starts[place] :], max(0, length - starts[place]))[-1]
            assert (expected - found[place]).abs().max() < 1e-5
    assert min(kept) < 0 < max(kept), "a prompt is gone, and of another one something is left"


def test_beams_and_draws_are_those_of_the_model_and_of_no_batch() -> None:
    model, prompts = build(**LLAMA, **PREFIX), make_prompts(*LENGTHS)
    writer = Writer(model, decode, end_id=4)
    for decoding in (
        Decoding(max_tokens=6, num_beams=3, num_return=2),
        Decoding(max_tokens=6, temperature=1.0, num_return=2),
    ):
        together = writer.write(prompts, decoding)
        assert [each.token_ids for each in together] == [
            each.token_ids for each in writer.write(prompts, decoding, batch_size=1)
        ]
    for number, best in enumerate(writer.write(prompts, Decoding(max_tokens=6, num_beams=3))):
        prompt, written = prompts[number].tolist(), [*best.token_ids, *([4] if best.reason == "end" else [])]
        for prefix, is_it in ((len(prompt), True), (0, len(prompt) == 1)):
            logs = read(model, [*prompt, *written], prefix)[len(prompt) - 1 : -1].log_softmax(dim=-1)
            score = logs[torch.arange(len(written)), torch.tensor(written)].sum().item() / len(written)
            assert (score == pytest.approx(best.score, abs=1e-4)) == is_it


def test_a_prefix_sees_itself_and_nothing_behind_it() -> None:
    model = build(**GPT2)
    packed = Packed.from_sequences(make_prompts(5, 3, 4), filler=2).with_prefixes([3, 0, 9])
    assert packed.order.tolist() == [2, 2, 2, 3, 4, 0, 1, 2, 8, 8, 8, 8, 0, 0]
    first, second, third = map_attention(model, packed)["attention"][1]
    is_seen = [[key < 3 if row < 3 else key <= row for key in range(5)] for row in range(5)]
    assert ((first > 0) == torch.tensor(is_seen)).all()
    assert torch.equal(second > 0, torch.ones(3, 3, dtype=torch.bool).tril().expand(4, 3, 3)) and (third > 0).all()


def test_a_prefix_that_comes_in_parts_is_refused() -> None:
    cache = Cache(build(**PREFIX).config, 2)
    ids = [torch.arange(4), torch.arange(2)]
    with pytest.raises(
        DataError, match="prefixes: a prefix is not whole in one run, got 'tokens 0 to 2'; hand in its 3"
    ):
        cache.pack(ids, [4, 3])
    cache.advance(cache.pack(ids, [4, 2]))
    assert cache.pack(ids, [4, 2]).order.tolist() == [4, 5, 6, 7, 2, 3], "what is read already may be told again"
    with pytest.raises(DataError, match="got 'tokens 2 to 4'"):
        cache.pack(ids, [4, 3])
