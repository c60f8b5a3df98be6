"""What a run takes of the machine: a device, a number of threads, and signals while it goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from groundup.errors import ConfigError
from groundup.training.config import TrainConfig


def choose_device(settings: TrainConfig) -> torch.device:
    """The device that the recipe asks for, with the number of CPU threads set."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device", "there is no CUDA device here", got="cuda", cure="train.device=cpu")
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    wants_gpu = settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if wants_gpu else "cpu")


@contextmanager
def keep_threads() -> Iterator[None]:
    """Give a process its number of CPU threads back, so that one run in it does not decide over the next."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def catch_signals(handler: object) -> dict[int, object]:
    """Turn SIGTERM and SIGINT into a request; only the main thread may, elsewhere signals stay as they are."""
    try:
        return {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:
        return {}


def restore_signals(previous: Mapping[int, object]) -> None:
    """Give each signal the handler that it had."""
    for number, handler in previous.items():
        signal.signal(number, handler)
