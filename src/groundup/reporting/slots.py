"""The slots of a design in words: what each is set to, and nothing of those that are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from groundup.reporting.language import say, say_name
from groundup.reporting.markup import Html, commas, data, join
from groundup.reporting.parts import Cell, table


def draw_slots(config: Mapping[str, Any]) -> Html:
    """A table of the slots."""
    rows = [[say(key), Cell(value)] for key, value in _list_slots(config)]
    return table(say("design.slots"), None, rows)


def _list_slots(config: Mapping[str, Any]) -> Iterator[tuple[str, Html]]:
    reach = "design.decoder" if config["causal"] else "design.encoder"
    yield "design.stack", say("design.prefix" if any(head.get("prefix") for head in config["heads"]) else reach)
    if (encoder := config["encoder"]) is not None:
        differing = [join(data(name, "code"), " ", data(str(value))) for name, value in encoder.items() if value]
        same = say("design.encoder_alike")
        yield "design.encoder_beside", join(say("design.encoder_but"), commas(differing)) if differing else same
    yield "design.layers", _name_layers(config)
    yield "design.width", data(str(config["hidden_size"]))
    yield "design.heads", _name_attention(config)
    yield "design.sees", _name_window(config)
    yield "design.positions", _name_positions(config)
    if config["query_stream"]:
        yield "design.query_stream", say("design.query_stream_of")
    yield (
        "design.feed_forward",
        say(
            "design.feed_forward_of",
            kind=say_name("feed_forward", config["feed_forward"]["kind"]),
            activation=data(config["feed_forward"]["activation"]),
            width=data(str(config["intermediate_size"])),
        ),
    )
    yield "design.norm", _name_norms(config)
    yield "design.biases", _name_biases(config)
    yield "design.vocabulary", _name_vocabulary(config)
    dropout = {name: value for name, value in config["dropout"].items() if value}
    named = [join(say_name("dropout", name), " ", data(f"{value:g}")) for name, value in dropout.items()]
    yield "design.dropout", commas(named) if named else say("design.no_head")
    heads = [_name_head(head) for head in config["heads"]]
    yield "design.head", commas(heads) if heads else say("design.no_head")


def _name_layers(config: Mapping[str, Any]) -> Html:
    layers, sharing = data(str(config["num_layers"])), config["sharing"]
    if sharing is None:
        return layers
    stored = data(str(sharing["num_groups"] * sharing["group_size"]))
    return say("design.shared_layers", layers=layers, stored=stored)


def _name_attention(config: Mapping[str, Any]) -> Html:
    head_dim = config["head_dim"] or config["hidden_size"] // config["num_heads"]
    kv_heads = config["num_kv_heads"] or config["num_heads"]
    heads = {"count": data(str(config["num_heads"])), "width": data(str(head_dim))}
    key = "design.heads_of" if kv_heads == config["num_heads"] else "design.kv_heads"
    parts = [say(key, **heads, shared=data(str(kv_heads)))]
    if config["qk_norm"]:
        parts.append(say("design.qk_norm"))
    if config["attention_scale"] is not None:
        parts.append(say("design.scale", scale=data(f"{config['attention_scale']:g}")))
    if config["shifted_kv_heads"]:
        parts.append(say("design.shifted", count=data(str(config["shifted_kv_heads"]))))
    return commas(parts)


def _name_window(config: Mapping[str, Any]) -> Html:
    window = config["window"]
    if window is None:
        return say("design.sees_all")
    size = data(str(window["size"]))
    if window["layers"] is None:
        return say("design.sees_window", size=size)
    return say("design.sees_some", size=size, layers=data(", ".join(map(str, window["layers"]))))


def _name_positions(config: Mapping[str, Any]) -> Html:
    position = config["position"]
    length, kind = data(str(config["max_length"])), say_name("position", position["kind"])
    named = say("design.positions_of", kind=kind, length=length)
    if (scaling := position.get("scaling")) is None:
        return named
    factor = data(f"{scaling['factor']:g}")
    return commas([named, say("design.scaling", kind=data(scaling["kind"]), factor=factor)])


def _name_norms(config: Mapping[str, Any]) -> Html:
    places = commas([say_name("place", place) for place in config["norm_places"]])
    named = say("design.norm_at", kind=say_name("norm", config["norm"]["kind"]), places=places)
    return named if config["first_input_norm"] else commas([named, say("design.not_first")])


def _name_biases(config: Mapping[str, Any]) -> Html:
    has_output = config["attention_output_bias"]
    places = {
        "design.bias_qkv": config["attention_bias"],
        "design.bias_o": config["attention_bias"] if has_output is None else has_output,
        "design.bias_feed_forward": config["feed_forward_bias"],
    }
    return (
        commas([say(key) for key, is_there in places.items() if is_there])
        if any(places.values())
        else say("design.no_head")
    )


def _name_vocabulary(config: Mapping[str, Any]) -> Html:
    has_tie = any(head["kind"].endswith("_lm") for head in config["heads"]) and config["tie_embeddings"]
    named = say("design.tied" if has_tie else "design.vocabulary_of", count=data(f"{config['vocab_size']:,}"))
    size = config["embedding_size"]
    return named if size is None else commas([named, say("design.embedding_width", width=data(str(size)))])


def _name_head(head: Mapping[str, Any]) -> Html:
    size = head.get("num_labels")
    return join(say_name("head", head["kind"]), None if size is None else data(f" ({size})"))
