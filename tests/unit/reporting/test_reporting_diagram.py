"""The drawing of a design has a mark for every slot, and none for what the design has not."""

from __future__ import annotations

from typing import Any

import pytest
from report_pages import Element, read_page

from groundup.model.config import (
    CausalLMHead,
    ClassificationHead,
    Encoder,
    GatedFeedForward,
    ModelConfig,
    NormPlace,
    RelativeBias,
    RelativePositions,
    RotaryPositions,
    Sharing,
    SinusoidalPositions,
    Window,
)
from groundup.reporting.diagram import draw_design
from groundup.reporting.markup import data
from groundup.reporting.slots import draw_slots

BASE = {"vocab_size": 100, "hidden_size": 32, "num_layers": 3, "num_heads": 4, "num_token_types": 0}


def draw(**values: Any) -> Element:
    config = ModelConfig(**(BASE | values)).model_dump(mode="json")
    return read_page(draw_design(config, "a-design", data("a design")))


def text(root: Element) -> str:
    return " | ".join(each.text("en") for each in root.find("text"))


MARKS = {
    "norms on queries and keys": {"qk_norm": True},
    "queries and keys rotated": {"position": RotaryPositions()},
    "+ learned positions": {},
    "+ sinusoidal positions": {"position": SinusoidalPositions()},
    "+ a bias by distance": {"position": RelativeBias()},
    "+ scores of the distance": {"position": RelativePositions()},
    "and a stream of queries": {"position": RelativePositions(), "query_stream": True},
    "sees what came before": {"causal": True},
    "prompt sees itself, then causal": {"causal": True, "heads": (CausalLMHead(prefix=True),)},
    "at most 5 tokens away": {"window": Window(size=5)},
    "5 away in 2 of 3 layers": {"window": Window(size=5, layers=(0, 2))},
    "2 for keys and values": {"num_kv_heads": 2},
    "1 searched by the key before": {"shifted_kv_heads": 1},
    "+ 2 token types": {"num_token_types": 2},
    "1 stored": {"sharing": Sharing()},
    "100 × 16 → 32": {"embedding_size": 16},
    "norm, but in the first layer": {"norm_places": ("embedding", "input"), "first_input_norm": False},
    "3 labels": {"heads": (ClassificationHead(num_labels=3),)},
    "the embedding's matrix": {"causal": True, "heads": (CausalLMHead(),)},
    "a matrix of its own": {"causal": True, "heads": (CausalLMHead(),), "tie_embeddings": False},
}


@pytest.mark.parametrize("mark", MARKS)
def test_a_slot_is_marked_where_it_is_set_and_only_there(mark: str) -> None:
    assert mark in text(draw(**MARKS[mark]))
    without = {"position": RotaryPositions(), "tie_embeddings": True} if mark == "+ learned positions" else {}
    assert mark not in text(draw(**without))


@pytest.mark.parametrize(
    ("places", "count"),
    [
        ((), 0),
        (("embedding", "residual"), 3),
        (("input", "final"), 3),
        (("embedding", "input", "output", "residual", "final"), 8),
    ],
)
def test_norms_stand_where_the_design_has_them(places: tuple[NormPlace, ...], count: int) -> None:
    assert len(draw(norm_places=places).find("rect", class_="norm")) == count
    beside = draw(norm_places=places, causal=True, encoder=Encoder())
    crossing = sum(place in ("input", "output", "residual") for place in places)
    assert len(beside.find("rect", class_="norm")) == 2 * count + crossing


def test_a_gate_is_drawn_as_two_maps() -> None:
    assert not draw().find("rect", class_="pill")
    gated = draw(feed_forward=GatedFeedForward(activation="gelu_tanh"))
    assert len(gated.find("rect", class_="pill")) == 2 and "gelu_tanh" in text(gated)


def test_a_decoder_reads_its_encoder() -> None:
    values = {"causal": True, "encoder": Encoder(num_layers=5, intermediate_size=48)}
    both = draw(**values)
    assert not draw().find("path", class_="memory") and len(both.find("path", class_="memory")) == 2
    shown = text(both)
    assert "attention to the source" in shown and "× 5" in shown and "× 3" in shown
    assert "32 → 48 → 32" in shown and "sees both sides" in shown and "sees what came before" in shown


def test_the_table_of_slots_says_the_same() -> None:
    config = ModelConfig(**BASE, qk_norm=True, window=Window(size=5, layers=(0, 2)), position=RotaryPositions())
    shown = read_page(draw_slots(config.model_dump(mode="json"))).text("en")
    for part in ("norms on queries and keys", "at most 5 tokens to each side in layers 0, 2", "rotary"):
        assert part in shown
    plain = read_page(draw_slots(ModelConfig(**BASE).model_dump(mode="json"))).text("en")
    assert "norms on queries" not in plain and "any distance" in plain


def test_what_the_other_has_not_is_marked() -> None:
    one = ModelConfig(**BASE, norm_places=("input", "output"), qk_norm=True, feed_forward=GatedFeedForward())
    other = ModelConfig(**BASE, norm_places=("input",))
    configs = [each.model_dump(mode="json") for each in (one, other)]
    first = read_page(draw_design(configs[0], "one", data("one"), beside=configs[1]))
    second = read_page(draw_design(configs[1], "other", data("other"), beside=configs[0]))
    rects = [each.attributes["class"] for each in first.find("rect", class_="differs")]
    assert (
        sorted(rects) == ["box norm differs"] * 2 + ["pill differs"] * 2 and len(first.find("rect", class_="norm")) == 4
    )
    marked = [each.text("en") for each in first.find(class_="differs") if each.name in ("g", "text")]
    assert marked == ["norms on queries and keys"]
    assert not second.find("rect", class_="differs")
    alone = read_page(draw_design(configs[0], "one", data("one")))
    assert not alone.find(class_="differs")
