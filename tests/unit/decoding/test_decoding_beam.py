"""Beams: what is found is the best there is, alone and among others, and stop texts end a beam."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from small_decoders import VOCAB, build, decode, make_prompts

from groundup.decoding.config import Decoding
from groundup.decoding.generate import Writer
from groundup.errors import ConfigError, DataError
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer


@torch.inference_mode()
def score(model: Transformer, prompt: np.ndarray, written: tuple[int, ...]) -> float:
    """The log probability of a text, computed at once."""
    ids = np.array([*prompt, *written])
    logs = model.heads["causal_lm"](model(Packed.from_sequences([ids[:-1]]))).log_softmax(dim=-1)
    return float(logs[len(prompt) - 1 :].gather(-1, torch.tensor(written)[:, None]).sum())


def find_end(model: Transformer, prompts: list[np.ndarray]) -> int:
    """A token that is often written, to be taken for the end."""
    written = Writer(model, decode, end_id=None).write(prompts, Decoding(max_tokens=9, num_beams=3))
    return int(np.bincount([each for one in written for each in one.token_ids[3:]]).argmax())


def test_as_many_beams_as_texts_find_the_best_of_all() -> None:
    writer = Writer(model := build(vocab_size=5, initializer_range=0.1), decode, end_id=None)
    decoding, is_better = Decoding(max_tokens=3, num_beams=25, num_return=25, length_penalty=0.5), []
    for prompt in make_prompts(*[3] * 5, vocab=5):
        texts = {ids: score(model, prompt, ids) / 3**0.5 for ids in product(range(5), repeat=3)}
        found = writer.write([prompt], decoding)
        best = sorted(texts, key=texts.__getitem__, reverse=True)[:25]
        assert [each.token_ids for each in found] == best
        assert [each.score for each in found] == pytest.approx([texts[ids] for ids in best], abs=1e-5)
        (greedy,) = writer.write([prompt], Decoding(max_tokens=3))
        is_better.append(greedy.token_ids != best[0])
    assert any(is_better), "greedy found the best everywhere"


@pytest.mark.parametrize("stopping", [True, False, "never"])
def test_a_prompt_is_searched_alike_alone_and_among_others(stopping: bool | str) -> None:
    model, prompts = build(), make_prompts(3, 11, 1, 7, 7)
    writer = Writer(model, decode, end_id=find_end(model, prompts))
    decoding = Decoding(max_tokens=9, num_beams=3, num_return=2, early_stopping=stopping, repetition_penalty=1.2)
    together = writer.write(prompts, decoding)
    alone = [each for prompt in prompts for each in writer.write([prompt], decoding)]
    assert len(together) == 10
    assert [each.token_ids for each in together] == [each.token_ids for each in alone]
    assert [each.score for each in together] == pytest.approx([each.score for each in alone], abs=1e-5)
    assert "end" in {each.reason for each in together}


def test_a_score_is_that_of_the_text_its_end_counted() -> None:
    model, prompts = build(), make_prompts(3, 11, 1, 7)
    end, decoding = find_end(model, prompts), Decoding(max_tokens=9, num_beams=4, length_penalty=0.8)
    found = Writer(model, decode, end_id=end).write(prompts, decoding)
    assert "end" in {each.reason for each in found}
    for prompt, each in zip(prompts, found, strict=True):
        whole = each.token_ids + ((end,) if each.reason == "end" else ())
        assert each.score == pytest.approx(score(model, prompt, whole) / len(whole) ** 0.8, abs=1e-5)


def test_a_stop_text_ends_a_beam() -> None:
    writer, (prompt,) = Writer(build(), decode, end_id=None), make_prompts(5)
    plain = Decoding(max_tokens=8, num_beams=3)
    (whole,) = writer.write([prompt], plain)
    stop = whole.text[2:4]
    (found,) = writer.write([prompt], plain.model_copy(update={"stop": (stop,), "early_stopping": True}))
    assert found.reason == "stop"
    assert decode(found.token_ids) == found.text + stop


def test_beams_go_on_where_the_positions_end() -> None:
    writer, prompts = Writer(build(), decode, end_id=None), make_prompts(20, 30)
    decoding = Decoding(max_tokens=40, num_beams=2)
    found = writer.write(prompts, decoding)
    assert [len(each.token_ids) for each in found] == [40, 40]
    alone = [writer.write([prompt], decoding)[0].token_ids for prompt in prompts]
    assert [each.token_ids for each in found] == alone


def test_banned_tokens_are_not_written_and_make_no_other_likelier() -> None:
    model, (prompt,) = build(), make_prompts(4)
    (free,) = Writer(model, decode, end_id=None).write([prompt], Decoding(max_tokens=5, num_beams=2))
    writer = Writer(model, decode, end_id=None, banned_ids={free.token_ids[0]})
    (banned,) = writer.write([prompt], Decoding(max_tokens=5, num_beams=2))
    assert free.token_ids[0] not in banned.token_ids
    assert banned.score == pytest.approx(score(model, prompt, banned.token_ids) / 5, abs=1e-5)


def test_what_cannot_be_searched_says_so() -> None:
    writer, prompts = Writer(build(), decode, end_id=None), make_prompts(4)
    with pytest.raises(ConfigError, match="num_beams: a beam cannot be shown before it is whole, got 2"):
        writer.stream(prompts, Decoding(num_beams=2))
    with pytest.raises(DataError, match=f"num_return: only {VOCAB} different texts can be written, got 30"):
        writer.write(prompts, Decoding(max_tokens=1, num_beams=30, num_return=30))
