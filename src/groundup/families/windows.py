"""Which layers of a published decoder see a window alone, and how far; their sizes count the token itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from groundup.families.values import Values
from groundup.model.config import Window

_LOCAL: Final = {"full_attention": False, "sliding_attention": True}


class Windows(NamedTuple):
    """A family's way of saying it."""

    read: Callable[[Values, int], Window | None]
    """From its config.json and the number of layers."""
    write: Callable[[Window | None, int], dict[str, Any]]
    """Its keys for a design with so many layers. A window that it cannot express is not what is read again."""
    settings: frozenset[str]
    """The keys that it reads."""


def read_layer_types(values: Values, num_layers: int) -> tuple[int, ...] | None:
    """The layers, counted from 0, that `layer_types` says to see a window alone; None where it says nothing."""
    kinds = values.names("layer_types")
    if not kinds:
        return None
    if unknown := next((kind for kind in kinds if kind not in _LOCAL), None):
        raise values.error("layer_types", f"{unknown!r} is not supported; {' and '.join(_LOCAL)} are")
    if len(kinds) != num_layers:
        raise values.error("layer_types", f"must have one entry for each of {num_layers} layers")
    return tuple(layer for layer, kind in enumerate(kinds) if _LOCAL[kind])


def write_layer_types(window: Window | None, num_layers: int) -> list[str]:
    """One entry for each layer."""
    layers = range(num_layers) if window is not None and window.layers is None else window.layers if window else ()
    return ["sliding_attention" if layer in layers else "full_attention" for layer in range(num_layers)]


def _read_size(values: Values) -> int | None:
    """The tokens of a window, the one that looks included; null for none."""
    is_none = "sliding_window" in values.config and values.config["sliding_window"] is None
    return None if is_none else values.count("sliding_window", 4096)


def _read_none(values: Values, num_layers: int) -> None:
    for key in ("sliding_window", "attention_chunk_size"):
        values.require(key, (), "attention to a window is not supported in this family")
    if read_layer_types(values, num_layers):
        raise values.error("layer_types", "only layers of 'full_attention' are supported in this family")


def _write_none(window: Window | None, num_layers: int) -> dict[str, Any]:
    return {}


def _read_everywhere(values: Values, num_layers: int) -> Window | None:
    size = _read_size(values)
    layers = read_layer_types(values, num_layers)
    if layers is not None and len(layers) != (0 if size is None else num_layers):
        raise values.error("layer_types", "contradicts sliding_window, which holds for all layers of this family")
    return None if size is None else Window(size=size - 1)


def _write_everywhere(window: Window | None, num_layers: int) -> dict[str, Any]:
    return {"sliding_window": None if window is None else window.size + 1}


def _read_by_layer(values: Values, num_layers: int) -> Window | None:
    size = _read_size(values)
    if not values.flag("use_sliding_window", False):
        size = None
    first = values.count("max_window_layers", 28, least=0)
    layers = read_layer_types(values, num_layers)
    if size is None:
        if layers:
            raise values.error("layer_types", "names windows, but no sliding_window is used")
        return None
    if layers is None:
        layers = tuple(range(first, num_layers))
    return Window(size=size - 1, layers=layers) if layers else None


def _write_by_layer(window: Window | None, num_layers: int) -> dict[str, Any]:
    kinds = write_layer_types(window, num_layers)
    return {
        "use_sliding_window": window is not None,
        "sliding_window": None if window is None else window.size + 1,
        "max_window_layers": kinds.index("sliding_attention") if window is not None else num_layers,
        "layer_types": kinds,
    }


NO_WINDOW: Final = Windows(
    _read_none, _write_none, frozenset({"attention_chunk_size", "layer_types", "sliding_window"})
)
"""All layers see all that came before (Llama)."""
ONE_WINDOW: Final = Windows(_read_everywhere, _write_everywhere, frozenset({"layer_types", "sliding_window"}))
"""All layers see the same, or all see all (Mistral)."""
WINDOWS_BY_LAYER: Final = Windows(
    _read_by_layer,
    _write_by_layer,
    frozenset({"layer_types", "max_window_layers", "sliding_window", "use_sliding_window"}),
)
"""Some layers see all, others a window (Qwen): by default the last ones."""
