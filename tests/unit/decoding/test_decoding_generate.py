"""Writing on: the cache changes nothing, neither does the batch, and every way to end is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_decoders import build, decode, make_prompts

from groundup.decoding.config import Decoding
from groundup.decoding.generate import Writer
from groundup.errors import DataError
from groundup.model.config import Encoder, MaskedLMHead, RotaryPositions
from groundup.model.packed import Packed
from groundup.model.transformer import Transformer


@torch.inference_mode()
def write_plainly(model: Transformer, prompt: np.ndarray, count: int) -> list[int]:
    """Greedy, the whole text computed anew for every token."""
    ids = prompt.tolist()
    for _ in range(count):
        logits = model.heads["causal_lm"](model(Packed.from_sequences([np.array(ids)])))[-1]
        ids.append(int(logits.argmax()))
    return ids[len(prompt) :]


def test_a_cache_and_a_batch_change_nothing() -> None:
    model = build()
    prompts = make_prompts(3, 11, 1, 7, 7)
    found = Writer(model, decode, end_id=None).write(prompts, Decoding(max_tokens=12), batch_size=2)
    expected = [write_plainly(model, prompt, 12) for prompt in prompts]
    assert [list(each.token_ids) for each in found] == expected
    assert [each.text for each in found] == [decode(ids) for ids in expected]
    assert {each.reason for each in found} == {"length"}
    assert len({each.text for each in found}) > 1


def test_a_prompt_draws_the_same_alone_and_among_others() -> None:
    writer, decoding = Writer(build(), decode, end_id=4), Decoding(max_tokens=12, temperature=1.0, seed=3)
    prompts = make_prompts(3, 11, 1, 7)
    together = writer.write(prompts, decoding)
    assert writer.write(prompts, decoding, batch_size=1) == together
    assert writer.write(prompts, decoding.model_copy(update={"seed": 4})) != together


def test_answers_to_a_prompt_differ_and_none_depends_on_their_number() -> None:
    writer, decoding = Writer(build(), decode, end_id=4), Decoding(max_tokens=12, temperature=1.0, seed=3)
    prompts = make_prompts(3, 11, 1)
    single = writer.write(prompts, decoding)
    several = writer.write(prompts, decoding.model_copy(update={"num_return": 3}))
    assert several[::3] == single
    assert len(set(several)) == 9
    assert writer.write(prompts, decoding.model_copy(update={"num_return": 2}), batch_size=1) == [
        each for number, each in enumerate(several) if number % 3 < 2
    ]


def test_an_encoder_reads_each_source_for_its_own_answers() -> None:
    model, prompts = build(encoder=Encoder(num_layers=1)), make_prompts(3, 11, 1, 7, 7)
    writer = Writer(model, decode, end_id=4, start_ids=[5, 6])
    for decoding in (
        Decoding(max_tokens=9),
        Decoding(max_tokens=9, temperature=1.0, num_return=3),
        Decoding(max_tokens=9, num_beams=3, num_return=3),
        Decoding(max_tokens=40, num_beams=2),
    ):
        together = [each.token_ids for each in writer.write(prompts, decoding)]
        assert together == [each.token_ids for each in writer.write(prompts, decoding, batch_size=1)]
        assert len(set(together)) > len(prompts) // 2, "sources are told apart"


def test_the_stream_is_what_is_written() -> None:
    writer, decoding = Writer(build(), decode, end_id=4), Decoding(max_tokens=9, temperature=1.5, num_return=2)
    prompts = make_prompts(3, 5)
    texts, reasons = [""] * 4, {}
    for piece in writer.stream(prompts, decoding):
        number = 2 * piece.prompt + piece.answer
        assert number not in reasons, "a text that has ended goes on"
        texts[number] += piece.text
        if piece.reason is not None:
            reasons[number] = piece.reason
    written = writer.write(prompts, decoding)
    assert texts == [each.text for each in written]
    assert reasons == {number: each.reason for number, each in enumerate(written)}


def test_end_and_stop_end_the_writing() -> None:
    model, (_, prompt) = build(), make_prompts(3, 11)
    ids = write_plainly(model, prompt, 8)
    place = next(place for place in range(1, 8) if ids[place] not in ids[:place])
    (ended,) = Writer(model, decode, end_id=ids[place]).write([prompt], Decoding(max_tokens=8))
    assert (ended.reason, ended.text) == ("end", decode(ids[:place]))
    (stopped,) = Writer(model, decode, end_id=None).write(
        [prompt], Decoding(max_tokens=8, stop=(decode([ids[place]]),))
    )
    assert (stopped.reason, stopped.text) == ("stop", decode(ids[:place]))
    (other,) = Writer(model, decode, end_id=None, banned_ids={ids[0]}).write([prompt], Decoding(max_tokens=8))
    assert ids[0] not in other.token_ids


@pytest.mark.parametrize("position", [None, RotaryPositions()])
def test_more_tokens_than_positions_are_written(position: object) -> None:
    """The older half is forgotten where the positions end, for each sequence as if it were alone."""
    model = build(**({} if position is None else {"position": position}))
    prompts = make_prompts(20, 30)
    found = Writer(model, decode, end_id=None).write(prompts, Decoding(max_tokens=60))
    assert [len(each.token_ids) for each in found] == [60, 60]
    assert list(found[0].token_ids[:5]) == write_plainly(model, prompts[0], 5)
    again = np.concatenate([prompts[0], found[0].token_ids[:5]])[-12:]
    assert list(found[0].token_ids[5:18]) == write_plainly(model, again, 13)
    for prompt, among in zip(prompts, found, strict=True):
        (alone,) = Writer(model, decode, end_id=None).write([prompt], Decoding(max_tokens=60))
        assert alone == among


def test_what_cannot_write_says_so() -> None:
    with pytest.raises(DataError, match="prompt 2: holds no token"):
        Writer(build(), decode, end_id=None).write([np.array([1]), np.array([], dtype=np.int64)], Decoding())
    with pytest.raises(DataError, match="model: has no causal head"):
        Writer(build(heads=(MaskedLMHead(),)), decode, end_id=None)
    with pytest.raises(DataError, match=r"start_ids: are for encoder-decoders alone, got \[0\]"):
        Writer(build(), decode, end_id=None, start_ids=[0])
    with pytest.raises(DataError, match=r"start_ids: are needed to begin an answer, got \[\]"):
        Writer(build(encoder=Encoder()), decode, end_id=None)
    with pytest.raises(DataError, match="sequence: is longer than the 24 positions"):
        Writer(build(encoder=Encoder()), decode, end_id=None, start_ids=[0]).write(make_prompts(25), Decoding())
    with pytest.raises(DataError, match="input_ids: an id is outside"):
        Writer(build(), decode, end_id=None).write([np.array([99])], Decoding())
