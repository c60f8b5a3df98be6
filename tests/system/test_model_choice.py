"""What a recipe says of its model: nothing in it is ignored, and no head of other classes is taken over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from groundup.checkpoint import pretrained
from groundup.errors import ConfigError
from groundup.recipe import Recipe
from groundup.verbs.assemble import assemble, build_model
from groundup.verbs.train import train

Make = Callable[..., dict]
WEIGHT = "heads.classification.linear.weight"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"heads": [{"kind": "span"}]}, r"model\.heads: the objective brings the one that is trained, got span"),
        ({"padding_id": 7}, r"model\.padding_id: is the tokenizer's, got 7; leave it out"),
    ],
)
def test_what_the_recipe_cannot_decide_is_refused(make_recipe: Make, model: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recipe.from_values(make_recipe("classification", model=model))
    stored = Recipe.from_values(make_recipe("classification")).to_json()  # as a run folder keeps it, defaults included
    assert Recipe.from_values(stored).to_json() == stored


def test_a_classifier_on_a_causal_stack_reads_the_last_token(make_recipe: Make) -> None:
    report = train(make_recipe("classification", model={"causal": True}), quiet=True)
    (head,) = pretrained.load(report.model).config.heads
    assert (head.pooling, head.bias) == ("last", False), "the first token would have seen nothing"


def test_an_objective_gets_the_stack_it_can_learn_on(make_recipe: Make) -> None:
    with pytest.raises(ConfigError, match=r"model\.causal: the objective 'masked' needs an encoder stack, got True"):
        train(make_recipe("masked", model={"causal": True}), quiet=True)
    with pytest.raises(ConfigError, match=r"model\.causal: a causal objective needs a decoder stack, got False"):
        train(make_recipe("masked", objective={"kind": "causal"}), quiet=True)
    with pytest.raises(ConfigError, match=r"data\.label: 'causal' learns from no label, got 'label'"):
        train(make_recipe("classification", objective={"kind": "causal"}, data={"label": "label"}), quiet=True)


@pytest.mark.parametrize(
    ("named", "is_kept"),
    [(("cat", "none"), True), (("none", "cat"), False), (("dog", "none"), False), (("LABEL_0", "LABEL_1"), True)],
)
def test_a_pretrained_head_is_kept_where_its_classes_are_those_of_the_table(
    make_recipe: Make, tmp_path: Path, named: tuple[str, str], is_kept: bool
) -> None:
    recipe = Recipe.from_values(make_recipe("classification"))
    parts = assemble(recipe, tmp_path / "work", quiet=True)
    model, _ = build_model(recipe, parts)
    files = parts.tokenizer.files()
    pretrained.save(tmp_path / "start", model, tokenizer_files=files, manifest={}, card="", labels=named)
    choice = {"kind": "pretrained", "path": str(tmp_path / "start")}
    values = make_recipe("classification") | {"model": choice, "tokenizer": None, "seed": 99}
    found, notes = build_model(Recipe.from_values(values), parts)
    assert torch.equal(found.state_dict()[WEIGHT], model.state_dict()[WEIGHT]) is is_kept
    assert (f"fresh weights: {WEIGHT}" in notes) is not is_kept
    assert torch.equal(found.state_dict()["pooler.weight"], model.state_dict()["pooler.weight"])
