"""What fits into memory."""

from __future__ import annotations

from pathlib import Path

import torch

from groundup.errors import ConfigError
from groundup.figures import format_bytes, format_count
from groundup.model.config import ModelConfig
from groundup.model.estimate import BYTES_OF_WEIGHT, count_parameters


def available_memory(device: torch.device) -> int | None:
    """Bytes that a process may still take on the device; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return free[0] if free else None


def check_weights(config: ModelConfig) -> None:
    """ConfigError where not even the weights have room, before the system kills who asks for it."""
    parameters = sum(count_parameters(config).values())
    free = available_memory(torch.device("cpu"))
    if free is not None and BYTES_OF_WEIGHT * parameters > free:
        needed = format_bytes(BYTES_OF_WEIGHT * parameters)
        raise ConfigError(
            "model",
            f"{format_count(parameters)} weights take {needed}, and {format_bytes(free)} of memory are free",
            cure="lower model.hidden_size, num_layers or intermediate_size, or tokenizer.vocab_size",
        )
