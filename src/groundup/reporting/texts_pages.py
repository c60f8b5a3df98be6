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
    "desk.marked": ("What the other has not is in orange.", "另一个没有的部分以橙色标出。"),
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
    # Several seeds.
    "seeds.kind": ("several seeds", "多个随机种子"),
    "seeds.what": (
        "One recipe, trained once with each seed: what it reaches, and how much of that is luck.",
        "同一份配方，每个随机种子各训练一次：它能达到什么水平，其中有多少是运气。",
    ),
    "seeds.together": ("Over the seeds", "各种子汇总"),
    "seeds.none": ("No seed has finished yet.", "还没有哪个种子训练完成。"),
    "seeds.student": (
        "Means over all seeds that finished, collapsed ones too. The spread is the standard deviation between seeds. "
        "The interval is Student's t over seeds, 95 %: where the mean of other seeds would fall, on these very rows.",
        "对所有训练完成的种子取平均，塌缩的也算在内。离散程度是种子之间的标准差。"
        "区间是对种子的学生 t 区间（95%）：换一批种子，在同样这些数据上，平均值会落在哪里。",
    ),
    "seeds.on_validation": ("On validation", "验证集"),
    "seeds.on_test": ("On the test data", "测试集"),
    "seeds.metric": ("metric", "指标"),
    "seeds.mean": ("mean", "平均"),
    "seeds.spread": ("spread", "离散程度"),
    "seeds.interval": ("interval", "区间"),
    "seeds.each": ("Each seed", "各个种子"),
    "seeds.seed": ("seed", "种子"),
    "seeds.state": ("state", "状态"),
    "seeds.chosen": (
        "The model of the series is that of the best {metric} on validation. One chosen out of many looks better "
        "than it is: report the mean, or the test data.",
        "整个系列采用验证集上{metric}最好的那个模型。从多个里挑出来的一个看上去会比实际好：请报告平均值，或测试集上的结果。",
    ),
    "seeds.label": (
        "seed {seed}: {metric} {value}, no better than always answering “{label}”, which reaches {floor}",
        "种子 {seed}：{metric} {value}，不高于总是回答“{label}”所达到的 {floor}",
    ),
    "seeds.guess": (
        "seed {seed}: {metric} {value}, no better than guessing evenly, which reaches {floor}",
        "种子 {seed}：{metric} {value}，不好于均匀乱猜的 {floor}",
    ),
    "seeds.nothing": (
        "seed {seed}: {metric} {value}, nothing was right",
        "种子 {seed}：{metric} {value}，一个都没答对",
    ),
    "seeds.diverged": ("seed {seed}: {error}", "种子 {seed}：{error}"),
    "fate_of_seed.best": ("best", "最好"),
    "fate_of_seed.finished": ("finished", "完成"),
    "fate_of_seed.collapsed": ("collapsed", "塌缩"),
    "fate_of_seed.diverged": ("diverged", "发散"),
    "fate_of_seed.not finished": ("not finished", "未完成"),
    "nav.together": ("Together", "汇总"),
    "nav.seeds": ("Seeds", "种子"),
    # A batch.
    "shown.kind": ("training batch", "训练批次"),
    "shown.place": (
        "Micro-batch {micro_batch}, tokens {start} to {end}, sample {sample}",
        "微批次 {micro_batch}，词元 {start} 至 {end}，样本 {sample}",
    ),
    "shown.marks": (
        "A frame has what is to be predicted, above it what is shown in its place; ‖ stands between two segments, ⇒ "
        "between what is given and what is to be written.",
        "方框里是要预测的内容，上方是模型看到的内容；‖ 分隔两个片段，⇒ 分隔已知内容与要写出的内容。",
    ),
    # Attention.
    "look.kind": ("attention", "注意力"),
    "look.tokens": ("tokens", "词元"),
    "look.layers": ("layers", "层"),
    "look.heads": ("heads", "注意力头"),
    "look.attention": ("Every head of every layer", "每层的每个注意力头"),
    "sees.attention": (
        "Each small picture is a head: a row for the token that looks, a column for the token that is looked at; a row "
        "sums to one. Choose a picture to see it large, then a token to see where it looks.",
        "每张小图是一个注意力头：行是正在看的词元，列是被看的词元，每行之和为一。点选小图可放大，再点选词元看它看向何处。",
    ),
    "look.encoder": ("In the encoder", "编码器内部"),
    "sees.encoder": ("How the tokens of the source look at each other.", "源文的词元如何相互查看。"),
    "look.cross_attention": ("From what is written to the source", "从生成的文本到源文"),
    "sees.cross_attention": (
        "A row for each token that is written, a column for each token of the source.",
        "行是生成的词元，列是源文的词元。",
    ),
    "look.layer_head": ("layer · head", "层 · 头"),
    "look.place": ("layer {layer}, head {head}", "第 {layer} 层，第 {head} 头"),
    "look.from": ("This token looks ...", "这个词元看向……"),
    "look.to": ("... here", "……这里"),
    "look.scale": ("of a token's attention:", "占一个词元注意力的："),
    "nav.attention": ("Heads", "注意力头"),
    "nav.encoder": ("Encoder", "编码器"),
    "nav.cross_attention": ("To the source", "看向源文"),
    "habit.itself": ("{share} to the token itself", "{share} 看自己"),
    "habit.previous": ("{share} to the token before", "{share} 看前一个词元"),
    "habit.next": ("{share} to the token after", "{share} 看后一个词元"),
    "habit.first": ("{share} to the first token", "{share} 看首个词元"),
    "habit.last": ("{share} to the last token", "{share} 看末个词元"),
    "habit.same": ("{share} to the same token elsewhere", "{share} 看别处的相同词元"),
    "habit.spread": ("spread over many", "分散于多处"),
}
