"""Rules of names: there and back, and nothing is left on either side without a word."""

from __future__ import annotations

import pytest
import torch

from groundup.errors import CheckpointError
from groundup.families.keymap import Constant, Copy, KeyMap, Rename, describe_names

KEYMAP = KeyMap(
    (
        Rename("encoder.layer.{i}.weight", "blocks.{i}.weight", ("encoder.layer.{i}.gamma",)),
        Rename("words", "token"),
        Rename("logits.bias", "bias"),
        Copy("decoder", "token"),
        Copy("unused.bias", "bias", is_written=True, must_agree=False),
        Constant("numbers", lambda tensor: not tensor.any()),
    )
)


def make_tensors() -> dict[str, torch.Tensor]:
    names = ["encoder.layer.0.weight", "encoder.layer.10.weight", "words", "logits.bias"]
    return {name: torch.full((2,), float(number)) for number, name in enumerate(names)}


def test_there_and_back() -> None:
    theirs = make_tensors()
    renamed = KEYMAP.read(theirs, "file")
    assert set(renamed.tensors) == {"blocks.0.weight", "blocks.10.weight", "token", "bias"}
    assert renamed.theirs["blocks.10.weight"] == "encoder.layer.10.weight"
    written = KEYMAP.write(renamed.tensors)
    assert written.keys() - theirs.keys() == {"unused.bias"}, "a copy that has to be written"
    assert all(written[name] is theirs[name] for name in theirs)


def test_an_older_name_is_read_and_the_new_one_written() -> None:
    renamed = KEYMAP.read({"encoder.layer.3.gamma": torch.ones(1)}, "file")
    assert list(renamed.tensors) == ["blocks.3.weight"]
    assert list(KEYMAP.write(renamed.tensors)) == ["encoder.layer.3.weight"]


@pytest.mark.parametrize("name", ["encoder.layer.x.weight", "encoder.layer.01.weight", "encoder.layer..weight", "word"])
def test_a_name_that_no_rule_knows(name: str) -> None:
    with pytest.raises(CheckpointError, match=f"^file: holds the tensor '{name}'"):
        KEYMAP.read(make_tensors() | {name: torch.ones(1)}, "file")


def test_the_nearest_name_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"'wrods' \(nearest: 'words'\)"):
        KEYMAP.read(make_tensors() | {"wrods": torch.ones(1)}, "file")


def test_two_names_of_one_tensor() -> None:
    with pytest.raises(CheckpointError, match="are the same one"):
        KEYMAP.read(make_tensors() | {"encoder.layer.0.gamma": torch.ones(2)}, "file")


def test_a_copy_must_agree() -> None:
    theirs = make_tensors()
    assert KEYMAP.read(theirs | {"decoder": theirs["words"].clone()}, "file").unused == ()
    with pytest.raises(CheckpointError, match="'decoder' differs from 'token'"):
        KEYMAP.read(theirs | {"decoder": theirs["words"] + 1e-6}, "file")
    with pytest.raises(CheckpointError, match="which is missing"):
        KEYMAP.read({"decoder": torch.ones(2)}, "file")


def test_a_copy_that_nothing_computes_with_may_differ_but_is_named() -> None:
    theirs = make_tensors()
    assert KEYMAP.read(theirs | {"unused.bias": torch.zeros(2)}, "file").unused == ("unused.bias",)


def test_a_constant_must_be_what_it_should() -> None:
    assert "numbers" not in KEYMAP.read(make_tensors() | {"numbers": torch.zeros(3)}, "file").tensors
    with pytest.raises(CheckpointError, match="'numbers' holds other values"):
        KEYMAP.read(make_tensors() | {"numbers": torch.ones(3)}, "file")


def test_a_tensor_of_ours_without_a_name_there() -> None:
    with pytest.raises(CheckpointError, match=r"^gate: has no name"):
        KEYMAP.write({"gate": torch.ones(1)})


def test_any_name_can_stand_for_itself() -> None:
    keymap = KeyMap((Rename("{name}", "{name}"),))
    assert keymap.expand(["a.b.1", "头"]) == ["a.b.1", "头"]
    assert keymap.unknown(["a.b.1", "头"]) == []


def test_many_names_are_counted() -> None:
    assert describe_names([f"n{number}" for number in range(9)], []).endswith("'n3' and 5 more")
