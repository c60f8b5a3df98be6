import pytest
import torch

from groundup.checkpoint.tree import Parts, join_tree, split_tree
from groundup.errors import CheckpointError

TREE = {
    "model": {"a.weight": torch.ones(2), "deep": {"b": torch.zeros(())}},
    "optimizer": {"step/a.weight": torch.tensor(1.0)},
    "progress": {"step": 3, "best": None, "labels": ["好", {"x": [1.5, True]}], "empty": {}},
}


def test_apart_and_together_again():
    parts = split_tree(TREE)
    assert set(parts.tensors) == {"model/a.weight", "model/deep/b", "optimizer/step/a.weight"}
    assert parts.values["progress"] == TREE["progress"]
    tree = join_tree(parts)
    assert tree["progress"] == TREE["progress"]
    assert tree["optimizer"] == {"step/a.weight": TREE["optimizer"]["step/a.weight"]}
    assert tree["model"]["deep"]["b"] is not None
    assert set(tree) == set(TREE)


def test_the_tree_handed_in_is_neither_changed_nor_shared():
    tree = {"a": {"w": torch.ones(1)}, "list": [{"x": 1}]}
    parts = split_tree(tree)
    parts.values["list"][0]["x"] = 2
    parts.values["a"]["y"] = 2
    assert tree["list"] == [{"x": 1}]
    assert list(tree["a"]) == ["w"]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": {"b": (1, 2)}}, r"a/b: cannot be stored: it is a tuple"),
        ({"a": [torch.ones(1)]}, r"a/0: cannot be stored: it is a Tensor"),
        ({"a": {1: 2}}, r"a/1: must be named by a text"),
        ({"a": [{1: 2}]}, r"a/0/1: must be named by a text"),
        ({"a": {"b": object()}}, r"a/b: cannot be stored"),
        ({"a": {"b/c": torch.ones(1), "b": {"c": torch.ones(1)}}}, r"a/b/c: is the path of two tensors"),
        ({"a": torch.ones(1).to_sparse()}, r"a: must be a dense tensor"),
        ({"a": torch.ones(1, device="meta")}, r"a: must be a dense tensor"),
    ],
)
def test_what_would_not_come_back_the_same_is_refused(tree, message):
    with pytest.raises(CheckpointError, match=message):
        split_tree(tree)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (Parts({}, {"a/b": ["a", "b"]}, {"a": {}}), "a/b: is missing"),
        (Parts({"a/b": torch.ones(1)}, {}, {"a": {}}), "a/b: is a tensor too many"),
        (Parts({"a/b": torch.ones(1)}, {"a/b": ["a", "b"]}, {}), "a/b: has no place"),
        (Parts({"a/b": torch.ones(1)}, {"a/b": ["a", "b"]}, {"a": 3}), "a/b: has no place"),
        (Parts({"a": torch.ones(1)}, {"a": ["a"]}, {"a": 3}), "a: has no place"),
    ],
)
def test_parts_that_do_not_fit_together(parts, message):
    with pytest.raises(CheckpointError, match=message):
        join_tree(parts)
