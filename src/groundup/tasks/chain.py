"""Sequences of classes in which neighbours count: the linear-chain CRF (Lafferty et al. 2001; Lample et al. 2016).

The score of a path is the sum of its tokens' scores, of its transitions, and of its first and its last class. Sequences
are packed: step t is computed for those alone that have a token t, so that nothing is padded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from groundup.language.tags import Scheme, may_follow


class ChainScores(NamedTuple):
    """What neighbouring classes score."""

    transitions: Float[Tensor, "classes classes"]
    """From the class of the row to that of the column."""
    starts: Float[Tensor, "sequences classes"]
    """As the first class of each sequence."""
    ends: Float[Tensor, "sequences classes"]
    """As the last."""


@dataclass(frozen=True)
class Layout:
    """In which order the tokens of packed sequences are visited."""

    lengths: tuple[int, ...]
    """Tokens of each sequence, at least one."""

    @cached_property
    def order(self) -> Int[np.ndarray, " sequences"]:
        """The sequences, the longest first: those that go on are then always the first ones."""
        return np.argsort(-np.array(self.lengths), kind="stable")

    @cached_property
    def steps(self) -> tuple[Int[np.ndarray, " active"], ...]:
        """For each step the tokens of the sequences that have one, in `order`."""
        lengths = np.array(self.lengths)[self.order]
        first = (np.cumsum(self.lengths) - np.array(self.lengths))[self.order]
        counts = [int(np.searchsorted(-lengths, -step, side="left")) for step in range(int(lengths[0]))]
        return tuple(first[:count] + step for step, count in enumerate(counts))

    @cached_property
    def last(self) -> Int[np.ndarray, " sequences"]:
        """The last token of each sequence."""
        return np.cumsum(self.lengths) - 1

    @cached_property
    def mirrored(self) -> Int[np.ndarray, " tokens"]:
        """The tokens with each sequence read backwards."""
        ends = np.cumsum(self.lengths)
        return np.concatenate(
            [np.arange(end - 1, end - length - 1, -1) for end, length in zip(ends, self.lengths, strict=True)]
        )


def chain_losses(
    scores: Float[Tensor, "tokens classes"], labels: Int[Tensor, " tokens"], layout: Layout, chain: ChainScores
) -> Float[Tensor, " sequences"]:
    """The negative log-likelihood of each sequence of labels among all sequences of classes.

    A class may score -inf as a start, an end or behind another one; a label then must not.
    """
    # The same is taken from both terms of the difference, so that float32 keeps its digits in long sequences.
    scores = scores.log_softmax(dim=1)
    device = scores.device
    last = _index(layout.last, device)
    first = last + 1 - torch.tensor(layout.lengths, device=device)
    is_first = torch.zeros(len(labels), dtype=torch.bool, device=device).index_fill(0, first, True)
    steps = scores.gather(1, labels[:, None])[:, 0]
    steps = steps + torch.where(is_first, 0.0, chain.transitions[labels.roll(1), labels])
    sequence_of = torch.repeat_interleave(torch.arange(len(last), device=device), _lengths(layout, device))
    paths = torch.zeros(len(last), dtype=scores.dtype, device=device).index_add(0, sequence_of, steps)
    rows = torch.arange(len(last), device=device)
    paths = paths + chain.starts[rows, labels[first]] + chain.ends[rows, labels[last]]
    forward = _run(scores, layout, chain.transitions, chain.starts, _sum)
    return (forward[last] + chain.ends).logsumexp(dim=1) - paths


def class_probabilities(
    scores: Float[Tensor, "tokens classes"], layout: Layout, chain: ChainScores
) -> Float[Tensor, "tokens classes"]:
    """The probability of each class of each token, over all paths (forward-backward)."""
    scores = scores.log_softmax(dim=1)
    mirrored = _index(layout.mirrored, scores.device)
    forward = _run(scores, layout, chain.transitions, chain.starts, _sum)
    backward = _run(scores[mirrored], layout, chain.transitions.T, chain.ends, _sum)
    # Mirrored twice is as it was. The token's own score is in both.
    return (forward + backward[mirrored] - scores).softmax(dim=1)


def best_paths(scores: Float[Tensor, "tokens classes"], layout: Layout, chain: ChainScores) -> Int[Tensor, " tokens"]:
    """The likeliest sequence of classes for each sequence (Viterbi 1967); of equal ones, that of lower classes."""
    best = _run(scores, layout, chain.transitions, chain.starts, _most)
    path = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
    ends = chain.ends[_index(layout.order, scores.device)]
    following = path[:0]
    for step in reversed(layout.steps):
        rows = _index(step, scores.device)
        behind = torch.cat([chain.transitions[:, following].T, ends[len(following) : len(rows)]])
        following = (best[rows] + behind).argmax(dim=1)
        path[rows] = following
    return path


def legal_chain(
    labels: Sequence[str], scheme: Scheme, is_start: Bool[Tensor, " sequences"], is_end: Bool[Tensor, " sequences"]
) -> ChainScores:
    """0 for what a scheme allows and -inf for what it does not.

    Args:
        labels: the tags.
        scheme: how they are written.
        is_start: whether each sequence is the beginning of its text: a window in it may begin inside an entity.
        is_end: whether it is the end.
    """

    def cost(is_allowed: list[bool]) -> Tensor:
        return torch.where(torch.tensor(is_allowed, device=is_start.device), 0.0, -torch.inf)

    transitions = torch.stack([cost([may_follow(before, tag, scheme) for tag in labels]) for before in labels])
    starts = cost([may_follow("O", tag, scheme) for tag in labels])
    ends = cost([may_follow(tag, "O", scheme) for tag in labels])
    return ChainScores(
        transitions, torch.where(is_start[:, None], starts, 0.0), torch.where(is_end[:, None], ends, 0.0)
    )


def _run(
    scores: Float[Tensor, "tokens classes"],
    layout: Layout,
    transitions: Float[Tensor, "classes classes"],
    starts: Float[Tensor, "sequences classes"],
    combine: Callable[[Tensor], Tensor],
) -> Float[Tensor, "tokens classes"]:
    """Of each token and class: all paths that lead there combined, the token's own score in it."""
    steps = [_index(step, scores.device) for step in layout.steps]
    state = scores[steps[0]] + starts[_index(layout.order, scores.device)]
    states = [state]
    for rows in steps[1:]:
        state = combine(state[: len(rows), :, None] + transitions) + scores[rows]
        states.append(state)
    return torch.cat(states)[torch.cat(steps).argsort()]


def _sum(paths: Float[Tensor, "sequences classes classes"]) -> Float[Tensor, "sequences classes"]:
    return paths.logsumexp(dim=1)


def _most(paths: Float[Tensor, "sequences classes classes"]) -> Float[Tensor, "sequences classes"]:
    return paths.amax(dim=1)


def _index(places: Int[np.ndarray, " places"], device: torch.device) -> Int[Tensor, " places"]:
    return torch.from_numpy(places).to(device, non_blocking=True)


def _lengths(layout: Layout, device: torch.device) -> Int[Tensor, " sequences"]:
    return torch.tensor(layout.lengths, device=device)
