"""Linear maps by either library: the same numbers but for rounding, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from groundup.model import linear as module
from groundup.model.linear import Linear, linear

ROWS, INNER, OUTER = 70, 33, 21

needs_onednn = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")),
    reason="this torch has no oneDNN",
)


@pytest.fixture
def onednn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Everything that may goes to oneDNN, on any processor; the shapes of what did."""
    taken: list[tuple[int, ...]] = []
    original = module._multiply

    def multiply(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
        taken.append((len(left), len(right)))
        return original(left, right, bias)

    monkeypatch.setattr(module, "FEWEST_PRODUCTS", 1)
    monkeypatch.setattr(module, "product_library", lambda: "oneDNN")
    monkeypatch.setattr(module, "_multiply", multiply)
    return taken


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def run(function: object, *inputs: Tensor | None) -> list[Tensor]:
    """Output and gradients under an uneven gradient, in float64."""
    out = function(*inputs)
    gradient = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape).cos()
    wanted = [each for each in inputs if each is not None and each.requires_grad]
    return [each.double() for each in (out, *torch.autograd.grad(out, wanted, gradient))]


def widen(each: Tensor | None) -> Tensor | None:
    return None if each is None else each.detach().double().requires_grad_(each.requires_grad)


@needs_onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("inner", "outer"), [(INNER, OUTER), (OUTER, INNER)], ids=["narrows", "widens"])
def test_the_product_and_its_gradients_are_right(onednn: list, bias: bool, inner: int, outer: int) -> None:
    inputs = (draw(ROWS, inner), draw(outer, inner, seed=1), draw(outer, seed=2) if bias else None)
    ours = run(linear, *inputs)
    assert onednn == [(ROWS, outer), (ROWS, inner), (OUTER, INNER)]
    exact = run(functional.linear, *map(widen, inputs))
    assert len(ours) == (4 if bias else 3)
    for one, other in zip(ours, exact, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    other = run(functional.linear, widen(inputs[0]), widen(inputs[1]).roll(1, 0))
    assert (ours[0] - other[0]).abs().max() > 0.1


@needs_onednn
def test_views_and_gradients_of_any_layout(onednn: list) -> None:
    """A gradient that was expanded or transposed arrives as it is."""
    inputs = draw(INNER, ROWS), draw(INNER, OUTER, seed=1)
    found = torch.autograd.grad(linear(inputs[0].mT, inputs[1].mT, None).mT.sum(), inputs)
    assert len(onednn) == 3
    exact = [widen(each) for each in inputs]
    for one, other in zip(found, torch.autograd.grad((exact[0].mT @ exact[1]).sum(), exact), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


@needs_onednn
def test_nothing_is_computed_for_what_is_frozen(onednn: list) -> None:
    hidden, weight = draw(ROWS, INNER), draw(OUTER, INNER, seed=1)
    linear(hidden, weight.detach(), None).sum().backward()
    assert weight.grad is None and hidden.grad is not None
    linear(hidden.detach(), weight, None).sum().backward()
    assert onednn == [(ROWS, OUTER), (ROWS, INNER), (ROWS, OUTER), (OUTER, INNER)]


@needs_onednn
def test_what_onednn_is_not_for_stays_torchs(onednn: list) -> None:
    hidden, weight = draw(ROWS, INNER), draw(OUTER, INNER, seed=1)
    linear(hidden.double(), weight.double(), None)
    linear(hidden.view(10, 7, INNER), weight, None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(hidden, weight, None).dtype == torch.bfloat16
    assert not onednn
    linear(hidden, weight, None)
    assert onednn


def test_small_products_stay_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "product_library", lambda: "oneDNN")
    hidden, weight = draw(ROWS, INNER), draw(OUTER, INNER, seed=1)
    assert torch.equal(linear(hidden, weight, None), functional.linear(hidden, weight))


def test_it_is_torchs_layer_in_all_else() -> None:
    torch.manual_seed(0)
    ours = Linear(INNER, OUTER)
    torch.manual_seed(0)
    theirs = nn.Linear(INNER, OUTER)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    hidden = draw(ROWS, INNER)
    assert torch.equal(ours(hidden), theirs(hidden))


@pytest.mark.parametrize(
    ("maker", "instructions", "library"),
    [
        ("AuthenticAMD", "AVX512", "oneDNN"),
        ("AuthenticAMD", "AVX2", "torch"),
        ("GenuineIntel", "AVX512", "torch"),
        ("GenuineIntel", "AVX2", "torch"),
    ],
)
@needs_onednn
def test_mkl_stays_where_it_is_fast(
    monkeypatch: pytest.MonkeyPatch, maker: str, instructions: str, library: str
) -> None:
    monkeypatch.setattr(module, "_processor_maker", lambda: maker)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: instructions)
    assert module.product_library.__wrapped__() == library


def test_a_cpu_says_who_made_it() -> None:
    assert module._processor_maker()
