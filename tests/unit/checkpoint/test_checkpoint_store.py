import fcntl
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.checkpoint.store import Store
from groundup.errors import CheckpointError

EVERY_DTYPE = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


def make_tree(seed: int = 0) -> dict:
    draw = torch.Generator().manual_seed(seed)
    return {
        "model": {"a.weight": torch.randn(3, 4, generator=draw), "a.bias": torch.randn(4, generator=draw)},
        "optimizer": {"step/a.weight": torch.tensor(7.0), "exp_avg/a.weight": torch.randn(3, 4, generator=draw)},
        "progress": {"step": 7, "best": 0.1 + 0.2, "none": None, "flag": True, "labels": ["好", "a", []], "empty": {}},
    }


def same(left: object, right: object) -> bool:
    """Equal, bit by bit and type by type, at any depth."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return set(left) == set(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, torch.Tensor):
        return (left.shape, left.dtype) == (right.shape, right.dtype) and bits(left) == bits(right)
    return left == right and repr(left) == repr(right)


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_round_trip(tmp_path):
    store = Store(tmp_path / "run" / "checkpoints")
    store.save(7, make_tree())
    assert same(store.load(), make_tree())
    assert same(Store(store.folder).load(7), make_tree())
    assert not same(store.load(), make_tree(1))


@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5)], ids=str)
def test_every_dtype_and_shape_keeps_its_bits(tmp_path, dtype, shape):
    raw = torch.randint(0, 2 if dtype == torch.bool else 256, (math.prod(shape) * dtype.itemsize,), dtype=torch.uint8)
    tensor = raw.view(dtype).reshape(shape)
    Store(tmp_path).save(1, {"a": tensor})
    assert same(Store(tmp_path).load()["a"], tensor)


def test_views_and_shared_storage(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    tree = {"base": base, "same": base, "turned": base.T, "slice": base[1:, ::2]}
    Store(tmp_path).save(1, tree)
    assert same(Store(tmp_path).load(), {name: tensor.contiguous() for name, tensor in tree.items()})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_plain_values_come_back_exactly(tmp_path_factory, values):
    store = Store(tmp_path_factory.mktemp("store"))
    store.save(1, values)
    assert repr(sort(store.load())) == repr(sort(values))


def sort(value: object) -> object:
    if isinstance(value, dict):
        return {key: sort(value[key]) for key in sorted(value)}
    return [sort(item) for item in value] if isinstance(value, list) else value


def test_equal_trees_give_equal_bytes(tmp_path):
    tree = make_tree()
    turned = {name: dict(reversed(branch.items())) for name, branch in reversed(tree.items())}
    first = Store(tmp_path / "a").save(7, tree)
    assert bytes_of(first) == bytes_of(Store(tmp_path / "b").save(7, turned))
    assert bytes_of(first) != bytes_of(Store(tmp_path / "c").save(7, make_tree(1)))


def test_steps_are_sorted_by_number_and_only_steps_are_listed(tmp_path):
    store = Store(tmp_path)
    assert store.steps() == []
    assert store.latest_good() is None
    for step in (10, 9, 100, 0):
        store.save(step, make_tree(step))
    for name in ("step-x", "step-007", ".step-5.writing", "notes"):
        (tmp_path / name).mkdir()
    assert store.steps() == [0, 9, 10, 100]
    assert same(store.load(), make_tree(100))
    assert store.latest_good() == 100


def test_saving_an_intact_step_again_is_fine(tmp_path):
    store = Store(tmp_path)
    before = bytes_of(store.save(7, make_tree()))
    assert bytes_of(store.save(7, make_tree())) == before
    store.save(7, make_tree(1))
    assert same(store.load(7), make_tree(1))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".step")] == []


def test_saving_a_damaged_step_again_repairs_it(tmp_path):
    store = Store(tmp_path)
    folder = store.save(7, make_tree())
    (folder / "state.json").write_text("{}")
    assert store.verify(7)
    store.save(7, make_tree())
    assert store.verify(7) == []


def test_further_files_are_stored_and_checked(tmp_path):
    store = Store(tmp_path)
    folder = store.save(7, make_tree(), extra_files={"tokenizer.json": "字".encode()})
    assert (folder / "tokenizer.json").read_text(encoding="utf-8") == "字"
    (folder / "tokenizer.json").write_text("other")
    assert "tokenizer.json" in store.verify(7)[0]


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "tensors.safetensors", "../a", "a/b", ".", ""])
def test_further_files_have_names_of_their_own(tmp_path, name):
    with pytest.raises(CheckpointError, match="cannot be the name"):
        Store(tmp_path).save(7, make_tree(), extra_files={name: b""})


@pytest.mark.parametrize("step", [-1, True])
def test_a_step_is_a_number_from_0_on(tmp_path, step):
    with pytest.raises(CheckpointError, match="whole number"):
        Store(tmp_path).save(step, make_tree())


def test_prune_keeps_the_newest_and_the_named(tmp_path):
    store = Store(tmp_path)
    for step in range(1, 7):
        store.save(step, make_tree(step))
    assert store.prune(2, also_keep=[1]) == [2, 3, 4]
    assert store.steps() == [1, 5, 6]
    assert store.prune(3) == []
    assert store.prune(0) == [1, 5, 6]
    assert store.steps() == []


def test_leftovers_are_removed_by_the_next_save_and_not_by_a_reader(tmp_path):
    store = Store(tmp_path)
    store.save(1, make_tree())
    for name in (".step-2.writing", ".step-0.deleting", ".step-1.replaced"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_text("{")
    Store(tmp_path).load()
    assert len(list(tmp_path.glob(".step-*"))) == 3
    store.clean()
    assert list(tmp_path.glob(".step-*")) == []
    (tmp_path / ".step-2.writing").mkdir()
    store.save(2, make_tree())
    assert list(tmp_path.glob(".step-*")) == []
    assert store.steps() == [1, 2]


def test_a_step_whose_replacement_was_killed_comes_back(tmp_path):
    store = Store(tmp_path)
    store.save(1, make_tree()).rename(tmp_path / ".step-1.replaced")
    store.clean()
    assert same(store.load(1), make_tree())


def test_two_writers_do_not_meet(tmp_path):
    store = Store(tmp_path)
    store.save(1, make_tree())
    with (tmp_path / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        (tmp_path / ".step-2.writing").mkdir()
        for action in (lambda: store.save(2, make_tree()), lambda: store.prune(0), store.clean):
            with pytest.raises(CheckpointError, match="another process is writing"):
                action()
        assert (tmp_path / ".step-2.writing").is_dir()
        assert same(store.load(), make_tree())
    store.save(2, make_tree())


def test_the_store_leaves_no_folder_behind_for_a_look(tmp_path):
    store = Store(tmp_path / "none")
    assert store.steps() == []
    store.clean()
    assert store.prune(1) == []
    assert list(tmp_path.iterdir()) == []
