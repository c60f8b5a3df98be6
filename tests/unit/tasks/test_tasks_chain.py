from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from groundup.tasks.chain import ChainScores, Layout, best_paths, chain_losses, class_probabilities, legal_chain

LENGTHS = (3, 1, 5, 5, 2)
NUM_CLASSES = 3


@pytest.fixture
def problem() -> tuple[Tensor, Tensor, ChainScores]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return 2.0 * torch.randn(shape, generator=generator, dtype=torch.float64)

    tokens = sum(LENGTHS)
    labels = torch.randint(NUM_CLASSES, (tokens,), generator=generator)
    chain = ChainScores(*(draw(size, NUM_CLASSES) for size in (NUM_CLASSES, len(LENGTHS), len(LENGTHS))))
    return draw(tokens, NUM_CLASSES), labels, chain


def all_paths(scores: Tensor, chain: ChainScores, row: int) -> dict[tuple[int, ...], Tensor]:
    """The score of every sequence of classes, term by term."""
    found = {}
    for path in itertools.product(range(NUM_CLASSES), repeat=len(scores)):
        total = chain.starts[row, path[0]] + chain.ends[row, path[-1]]
        total = total + sum(scores[place, label] for place, label in enumerate(path))
        found[path] = total + sum(chain.transitions[a, b] for a, b in itertools.pairwise(path))
    return found


def test_losses_and_probabilities_are_sums_over_all_paths(problem: tuple[Tensor, Tensor, ChainScores]) -> None:
    scores, labels, chain = problem
    losses = chain_losses(scores, labels, Layout(LENGTHS), chain)
    shares = class_probabilities(scores, Layout(LENGTHS), chain)
    best = best_paths(scores, Layout(LENGTHS), chain)
    start = 0
    for row, length in enumerate(LENGTHS):
        window = slice(start, start + length)
        paths = all_paths(scores[window], chain, row)
        total = torch.stack(list(paths.values())).logsumexp(dim=0)
        assert losses[row].item() == pytest.approx((total - paths[tuple(labels[window].tolist())]).item(), rel=1e-12)
        assert tuple(best[window].tolist()) == max(paths, key=lambda path: paths[path].item())
        expected = torch.zeros(length, NUM_CLASSES, dtype=torch.float64)
        for path, score in paths.items():
            for place, label in enumerate(path):
                expected[place, label] += (score - total).exp()
        torch.testing.assert_close(shares[window], expected, rtol=1e-10, atol=1e-12)
        start += length


def test_every_kind_of_score_counts(problem: tuple[Tensor, Tensor, ChainScores]) -> None:
    """The negative control: without any one of them the losses are others."""
    scores, labels, chain = problem
    losses = chain_losses(scores, labels, Layout(LENGTHS), chain)
    for name in chain._fields:
        other = chain_losses(scores, labels, Layout(LENGTHS), chain._replace(**{name: getattr(chain, name) * 0.0}))
        assert (losses - other).abs().max() > 0.1, name
    assert (losses - chain_losses(scores * 0.0, labels, Layout(LENGTHS), chain)).abs().max() > 0.1


def test_gradients_are_those_of_differences(problem: tuple[Tensor, Tensor, ChainScores]) -> None:
    scores, labels, chain = problem
    inputs = tuple(each.clone().requires_grad_() for each in (scores, *chain))
    layout = Layout(LENGTHS)
    assert torch.autograd.gradcheck(
        lambda scores, *parts: chain_losses(scores, labels, layout, ChainScores(*parts)), inputs
    )


def test_the_order_of_sequences_does_not_matter(problem: tuple[Tensor, Tensor, ChainScores]) -> None:
    scores, labels, chain = problem
    order = [3, 0, 4, 2, 1]
    parts, named = scores.split(list(LENGTHS)), labels.split(list(LENGTHS))
    moved = ChainScores(chain.transitions, chain.starts[order], chain.ends[order])
    layout = Layout(tuple(LENGTHS[row] for row in order))
    found = chain_losses(
        torch.cat([parts[row] for row in order]), torch.cat([named[row] for row in order]), layout, moved
    )
    torch.testing.assert_close(found, chain_losses(scores, labels, Layout(LENGTHS), chain)[order], rtol=1e-13, atol=0.0)


def test_float32_is_enough_for_long_texts_and_large_scores() -> None:
    generator = torch.Generator().manual_seed(1)
    scores = 30.0 * torch.randn(4000, 9, generator=generator)
    labels = scores.argmax(dim=1)
    chain = ChainScores(*(torch.randn(size, 9, generator=generator) for size in (9, 2, 2)))
    layout = Layout((3900, 100))
    exact = chain_losses(scores.double(), labels, layout, ChainScores(*(part.double() for part in chain)))
    found = chain_losses(scores, labels, layout, chain)
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-3)
    assert torch.isfinite(class_probabilities(scores, layout, chain)).all()


def test_what_a_scheme_forbids_is_never_chosen() -> None:
    labels = ("O", "B-X", "I-X", "B-Y", "I-Y")
    generator = torch.Generator().manual_seed(2)
    lengths = (6, 1, 4, 9)
    scores = torch.randn(sum(lengths), len(labels), generator=generator)
    scores[:, [2, 4]] += 1.0
    whole = torch.ones(len(lengths), dtype=torch.bool)
    chain = legal_chain(labels, "iob2", whole, whole)
    illegal = {("O", "I-X"), ("O", "I-Y"), ("B-X", "I-Y"), ("I-X", "I-Y"), ("B-Y", "I-X"), ("I-Y", "I-X")}

    def steps(path: Tensor) -> set[tuple[str, str]]:
        return {
            pair
            for part in path.split(list(lengths))
            for pair in itertools.pairwise(["O", *(labels[each] for each in part.tolist())])
        }

    assert steps(scores.argmax(dim=1)) & illegal, "or the constraint would have nothing to do"
    assert not steps(best_paths(scores, Layout(lengths), chain)) & illegal
    inside = legal_chain(labels, "iob2", ~whole, whole)
    scores[0, 2] += 100.0
    assert best_paths(scores, Layout(lengths), inside)[0] == 2, "a window may begin inside an entity"


@pytest.mark.parametrize("scheme", ["bioes", "bmes"])
def test_what_is_begun_must_end(scheme: str) -> None:
    labels = ("O", "B-X", "M-X" if scheme == "bmes" else "I-X", "E-X", "S-X")
    scores = torch.zeros(3, 5)
    scores[:, 1] = 1.0
    whole = torch.ones(1, dtype=torch.bool)
    path = best_paths(scores, Layout((3,)), legal_chain(labels, scheme, whole, whole))
    assert [labels[each] for each in path.tolist()][-1][0] in "OES"
