from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from groundup.objectives import loss as module
from groundup.objectives.loss import cross_entropy_sum, token_losses


def draw(rows: int, classes: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows + classes)
    logits = torch.randn(rows, classes, generator=generator, dtype=torch.float64) * 4
    return logits.to(dtype), torch.randint(classes, (rows,), generator=generator)


def gradient(of: object, logits: torch.Tensor, labels: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    leaf = logits.clone().requires_grad_()
    (of(leaf * 1.0, labels) * scale).backward()
    return leaf.grad


def reference(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits, labels, reduction="sum")


@pytest.mark.parametrize(("rows", "classes"), [(1, 2), (7, 5), (64, 1000), (33, 3000)])
def test_loss_and_gradient_equal_torch_in_float64(rows: int, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._BLOCK_ELEMENTS, "cpu", 20_000)  # several blocks, the last one not full
    logits, labels = draw(rows, classes, torch.float64)
    found, expected = cross_entropy_sum(logits.clone(), labels), reference(logits, labels)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-12)
    torch.testing.assert_close(
        gradient(cross_entropy_sum, logits, labels, 0.3),
        gradient(reference, logits, labels, 0.3),
        rtol=1e-12,
        atol=1e-14,
    )
    wrong = (labels + 1) % classes
    assert not torch.allclose(found, reference(logits, wrong))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_narrow_logits_are_summed_in_fp32(dtype: torch.dtype) -> None:
    logits, labels = draw(300, 2000, dtype)
    found = cross_entropy_sum(logits.clone(), labels)
    assert found.dtype == torch.float32
    exact = reference(logits.double(), labels)
    assert found.item() == pytest.approx(exact.item(), rel=1e-6)
    grad = gradient(cross_entropy_sum, logits, labels)
    assert grad.dtype == dtype
    wanted = gradient(reference, logits.double(), labels)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-2
    assert (grad.double() - wanted).norm() < tolerance * wanted.norm()


def test_losses_of_single_tokens_sum_to_the_loss() -> None:
    logits, labels = draw(50, 700, torch.float32)
    each = token_losses(logits, labels)
    torch.testing.assert_close(each, functional.cross_entropy(logits, labels, reduction="none"))
    torch.testing.assert_close(each.sum(), cross_entropy_sum(logits.clone(), labels))
    assert token_losses(logits[:0], labels[:0]).shape == (0,)


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]])
    assert cross_entropy_sum(logits.clone(), torch.tensor([0])).item() == 0.0
    assert cross_entropy_sum(logits.clone(), torch.tensor([1])).item() == pytest.approx(2e4)
    assert torch.isnan(cross_entropy_sum(logits * torch.nan, torch.tensor([0])))


def test_no_rows_give_a_zero_that_can_go_backward() -> None:
    logits = torch.zeros(0, 5, requires_grad=True)
    total = cross_entropy_sum(logits * 1.0, torch.zeros(0, dtype=torch.int64))
    total.backward()
    assert total.item() == 0.0
    assert logits.grad.shape == (0, 5)


def test_a_second_use_of_the_logits_is_refused_rather_than_wrong() -> None:
    leaf = torch.randn(4, 6, requires_grad=True)
    logits = leaf.tanh()  # its backward needs its own output, which ours has overwritten
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        cross_entropy_sum(logits, torch.tensor([0, 1, 2, 3])).backward()
    total = cross_entropy_sum(leaf * 1.0, torch.tensor([0, 1, 2, 3]))
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError):
        total.backward()


def test_the_backward_pass_makes_no_second_copy_of_the_logits() -> None:
    logits, labels = draw(64, 1000, torch.float32)
    leaf = logits.requires_grad_()
    product = leaf * 1.0
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        total = cross_entropy_sum(product, labels)
    large = [tensor for tensor in kept if tensor.numel() >= product.numel()]
    assert [tensor.data_ptr() for tensor in large] == [product.data_ptr()]
    total.backward()
    assert torch.allclose(product.detach(), leaf.grad)
