"""Several verbs in one process: none of them leaves anything behind for the next."""

from __future__ import annotations

from collections.abc import Callable

import torch

import groundup

Make = Callable[..., dict]


def test_threads_of_one_run_are_not_those_of_the_next(make_recipe: Make) -> None:
    first = make_recipe("masked", "first", train={"steps": 1, "threads": 2})
    second = make_recipe("masked", "second", train={"steps": 1, "threads": None})
    before = torch.get_num_threads()
    for verb in (groundup.check, groundup.train):
        verb(first)
        assert torch.get_num_threads() == before
    assert groundup.check(second).step.threads == before
    groundup.evaluate(first["output"], ["train.threads=2"])
    assert torch.get_num_threads() == before
