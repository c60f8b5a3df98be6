"""Rules of names: there and back, and nothing is left on either side without a word."""

from __future__ import annotations

import pytest
import torch

from groundup.errors import CheckpointError
from groundup.families.keymap import Constant, Copy, KeyMap, Rename, Split, describe_names

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


def test_what_is_never_computed_with_comes_back_as_it_was() -> None:
    theirs = make_tensors() | {"unused.bias": torch.ones(2)}
    renamed = KEYMAP.read(theirs, "file")
    assert renamed.unused == ("unused.bias",)
    unused = {"unused.bias": theirs["unused.bias"], "decoder": torch.ones(2), "surprise": torch.ones(2)}
    written = KEYMAP.write(renamed.tensors, unused)
    assert written.keys() == theirs.keys() and all(written[name] is theirs[name] for name in theirs)
    assert KEYMAP.write(renamed.tensors)["unused.bias"] is theirs["logits.bias"]
    del renamed.tensors["bias"]
    assert "unused.bias" not in KEYMAP.write(renamed.tensors, unused), "a design without its part has no place for it"


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


OTHER_WAY_ROUND = KeyMap(
    (
        Split("h.{i}.qkv.weight", ("blocks.{i}.q.weight", "blocks.{i}.k.weight"), is_transposed=True),
        Split("h.{i}.qkv.bias", ("blocks.{i}.q.bias", "blocks.{i}.k.bias")),
        Rename("h.{i}.out.weight", "blocks.{i}.o.weight", is_transposed=True),
    )
)


def make_joined() -> dict[str, torch.Tensor]:
    return {
        "h.1.qkv.weight": torch.arange(24.0).view(3, 8),
        "h.1.qkv.bias": torch.arange(8.0),
        "h.1.out.weight": torch.arange(10.0).view(5, 2),
    }


def test_a_joined_tensor_is_cut_and_a_matrix_turned() -> None:
    renamed = OTHER_WAY_ROUND.read(make_joined(), "file")
    ours = renamed.tensors
    assert {name: list(tensor.shape) for name, tensor in ours.items()} == {
        "blocks.1.q.weight": [4, 3],
        "blocks.1.k.weight": [4, 3],
        "blocks.1.q.bias": [4],
        "blocks.1.k.bias": [4],
        "blocks.1.o.weight": [2, 5],
    }
    # An input times their matrix, columns of q before those of k, is what our two matrices make of it.
    hidden = torch.tensor([1.0, -2.0, 3.0])
    expected = hidden @ make_joined()["h.1.qkv.weight"]
    assert torch.equal(torch.cat([ours["blocks.1.q.weight"] @ hidden, ours["blocks.1.k.weight"] @ hidden]), expected)
    assert ours["blocks.1.k.bias"].tolist() == [4.0, 5.0, 6.0, 7.0]
    assert renamed.theirs["blocks.1.k.weight"] == renamed.theirs["blocks.1.q.weight"] == "h.1.qkv.weight"
    storages = {tensor.untyped_storage().data_ptr() for tensor in ours.values()}
    assert len(storages) == len(ours) and all(tensor.is_contiguous() for tensor in ours.values())


def test_what_was_cut_and_turned_is_written_as_it_was() -> None:
    written = OTHER_WAY_ROUND.write(OTHER_WAY_ROUND.read(make_joined(), "file").tensors)
    assert written.keys() == make_joined().keys()
    assert all(torch.equal(written[name], tensor) for name, tensor in make_joined().items())
    assert all(tensor.is_contiguous() for tensor in written.values())


def test_names_and_shapes_of_what_is_cut_and_turned() -> None:
    names = ["blocks.0.q.weight", "blocks.0.k.weight", "blocks.2.o.weight", "blocks.0.v.weight"]
    assert OTHER_WAY_ROUND.expand(names) == ["h.0.qkv.weight", "h.2.out.weight"]
    assert OTHER_WAY_ROUND.shape_of("blocks.0.q.weight", (4, 3)) == [3, 8]
    assert OTHER_WAY_ROUND.shape_of("blocks.0.k.bias", (4,)) == [8]
    assert OTHER_WAY_ROUND.shape_of("blocks.0.o.weight", (2, 5)) == [5, 2]
    assert KEYMAP.shape_of("token", (2, 5)) == [2, 5]


@pytest.mark.parametrize("shape", [(3, 7), (8, 3), (7,), ()], ids=str)
def test_what_cannot_be_cut(shape: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError, match=r"^file: the tensor 'h.1.qkv.weight' holds 2 of one shape and cannot"):
        OTHER_WAY_ROUND.read(make_joined() | {"h.1.qkv.weight": torch.ones(shape)}, "file")


def test_parts_that_do_not_belong_together() -> None:
    ours = OTHER_WAY_ROUND.read(make_joined(), "file").tensors
    del ours["blocks.1.q.bias"]
    with pytest.raises(CheckpointError, match=r"^h.1.qkv.bias: cannot be written without the tensor 'blocks.1.q.bias'"):
        OTHER_WAY_ROUND.write(ours)
    ours["blocks.1.q.bias"] = torch.ones(3)
    with pytest.raises(CheckpointError, match=r"must be of one shape, got \[\[3\], \[4\]\]"):
        OTHER_WAY_ROUND.write(ours)


FOLDED = KeyMap(
    (
        Rename("h.{i}.q", "blocks.{i}.q.weight", is_transposed=True, folded=(2, 3)),
        Rename("h.{i}.o", "blocks.{i}.o.weight", folded=(2, 3)),
        Rename("start", "query", folded=(1, 4)),
    )
)


def make_folded() -> dict[str, torch.Tensor]:
    shapes = {"h.0.q": (5, 2, 3), "h.0.o": (5, 2, 3), "start": (1, 1, 4)}
    return {name: torch.randn(shape, generator=torch.Generator().manual_seed(3)) for name, shape in shapes.items()}


def test_axes_that_ours_has_in_one_are_folded_and_unfolded() -> None:
    theirs = make_folded()
    ours = FOLDED.read(theirs, "file").tensors
    assert {name: list(tensor.shape) for name, tensor in ours.items()} == {
        "blocks.0.q.weight": [6, 5],
        "blocks.0.o.weight": [5, 6],
        "query": [1, 4],
    }
    hidden, heads = torch.randn(5), torch.randn(2, 3)
    torch.testing.assert_close(
        (ours["blocks.0.q.weight"] @ hidden).view(2, 3), torch.einsum("h,hnd->nd", hidden, theirs["h.0.q"])
    )
    torch.testing.assert_close(
        ours["blocks.0.o.weight"] @ heads.flatten(), torch.einsum("nd,hnd->h", heads, theirs["h.0.o"])
    )
    written = FOLDED.write(ours)
    assert all(torch.equal(written[name], tensor) and written[name].is_contiguous() for name, tensor in theirs.items())
    assert {name: FOLDED.shape_of(name, tensor.shape) for name, tensor in ours.items()} == {
        "blocks.0.q.weight": [5, 2, 3],
        "blocks.0.o.weight": [5, 2, 3],
        "query": [1, 1, 4],
    }


@pytest.mark.parametrize("shape", [(5, 3, 2), (5, 6), (5,), (5, 1, 6)], ids=str)
def test_heads_of_another_number_are_not_folded(shape: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError, match=r"^file: the tensor 'h.0.o' must be of the shape \[any, 2, 3\], got"):
        FOLDED.read(make_folded() | {"h.0.o": torch.ones(shape)}, "file")


def test_a_tensor_of_ours_without_a_name_there() -> None:
    with pytest.raises(CheckpointError, match=r"^gate: has no name"):
        KEYMAP.write({"gate": torch.ones(1)})


def test_any_name_can_stand_for_itself() -> None:
    keymap = KeyMap((Rename("{name}", "{name}"),))
    assert keymap.expand(["a.b.1", "头"]) == ["a.b.1", "头"]
    assert keymap.unknown(["a.b.1", "头"]) == []


def test_many_names_are_counted() -> None:
    assert describe_names([f"n{number}" for number in range(9)], []).endswith("'n3' and 5 more")
