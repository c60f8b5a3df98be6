"""Texts of the pages of their own: a design or two, and where a model looks, as (English, Chinese)."""

from __future__ import annotations

from typing import Final

PAGES: Final[dict[str, tuple[str, str]]] = {
    # Designs.
    "desk.kind": ("design", "模型结构"),
    "desk.kind_two": ("two designs", "两种模型结构"),
    "desk.parameters": ("parameters", "参数"),
    "desk.flops": ("FLOPs a token, forward", "每词元前向 FLOPs"),
    "desk.memory": ("memory to train", "训练内存"),
    "desk.made": ("Made by groundup {version}.", "由 groundup {version} 生成。"),
    "desk.differences": ("What differs", "差异"),
    "desk.same": ("The two are the same design.", "两者结构相同。"),
    "desk.key": ("key of the recipe's model", "配方 model 的键"),
    "desk.one": ("one", "甲"),
    "desk.other": ("other", "乙"),
    "desk.ratio": ("other to one", "乙比甲"),
    "desk.figure": ("figure", "项目"),
    "desk.figures": ("What they cost", "代价对比"),
    "desk.modules": ("Modules that differ", "不同的模块"),
    "desk.values": ("All values, as JSON", "全部取值（JSON）"),
    "nav.differences": ("Differences", "差异"),
    "nav.one": ("One", "甲"),
    "nav.other": ("Other", "乙"),
    "figure.num_parameters": ("parameters", "参数"),
    "figure.forward_flops_per_token": ("FLOPs a token, forward", "每词元 FLOPs（前向）"),
    "figure.training_flops_per_token": ("FLOPs a token, training", "每词元 FLOPs（训练）"),
    "figure.total_memory": ("memory while training", "训练时内存"),
    "figure.cache_bytes_per_token": ("cache of a token", "每词元缓存"),
}
