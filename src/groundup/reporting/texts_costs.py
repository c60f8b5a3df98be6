"""Costs of a design that its values do not show, as (English, Chinese); a terminal shows the English ones."""

from __future__ import annotations

from typing import Final

COSTS: Final[dict[str, tuple[str, str]]] = {
    "cost.vocabulary": (
        "The {rows} rows of the vocabulary hold more weights ({weights}) than all blocks together ({stack}): a smaller "
        "vocabulary makes this model smaller than fewer layers would.",
        "词表的 {rows} 行所含的权重（{weights}）多于所有层之和（{stack}）：要缩小模型，缩小词表比减少层数更有效。",
    ),
    "cost.untied": (
        "The head's matrix of its own is {share} of all parameters ({weights}); tie_embeddings=true shares the "
        "embedding's.",
        "输出头自有的矩阵占全部参数的 {share}（{weights}）；设 tie_embeddings=true 可与嵌入共享。",
    ),
    "cost.logits": (
        "{share} of the arithmetic is the product with the vocabulary, and every token that is predicted keeps {size} "
        "of logits until the way back.",
        "{share} 的计算量是与词表的乘积；每个要预测的词元在反向传播之前都要保留 {size} 的 logits。",
    ),
    "cost.scores": (
        "At {length} tokens, comparing them with each other is {share} of the arithmetic, more than the projections: "
        "it grows with the square of the length.",
        "序列长 {length} 个词元时，两两比较占计算量的 {share}，超过投影：它随长度的平方增长。",
    ),
    "cost.positions": (
        "Sequences have at most {length} tokens, so the learned positions {first} to {last} are never trained: the "
        "model must not be given longer texts.",
        "序列最多 {length} 个词元，因此可学习位置 {first} 至 {last} 从未得到训练：不要给模型更长的文本。",
    ),
    "cost.cache": (
        "A sequence of {length} tokens keeps {size} of keys and values while it is written; all weights are {weights}. "
        "Fewer num_kv_heads keep less.",
        "生成一条 {length} 个词元的序列要保留 {size} 的键和值，而全部权重为 {weights}。减少 num_kv_heads 可以少留。",
    ),
    "cost.window_idle": (
        "The window of {size} hides nothing in sequences of {length} tokens.",
        "窗口 {size} 在 {length} 个词元的序列中不起作用。",
    ),
    "cost.window_reach": (
        "Windows of {size} in all {layers} layers carry nothing further than {reach} tokens, in sequences of {length}: "
        "with window.layers some layers see all.",
        "全部 {layers} 层的窗口均为 {size}，信息至多传 {reach} 个词元，而序列长 {length}："
        "用 window.layers 让部分层可见全部。",
    ),
    "cost.window_dense": (
        "On a CPU a window of {size} saves no time at {length} tokens: it is a mask over all pairs. Where flash "
        "attention runs (CUDA, bf16, no dropout on attention) it does.",
        "在 CPU 上，窗口 {size} 对 {length} 个词元并不省时：它是全部词元对上的掩码。"
        "在可用 flash attention 之处（CUDA、bf16、注意力无 dropout）才省时。",
    ),
    "cost.relative_bias": (
        "On a CPU a learned bias leaves torch's fused kernel: attention took 1.4 times as long at 128 tokens and 1.9 "
        "times at 512, and probabilities of {size} are kept for the way back.",
        "在 CPU 上，可学习的偏置无法使用 torch 的融合内核：注意力耗时在 128 个词元时为 1.4 倍，512 个时为 1.9 倍，"
        "并需为反向传播保留 {size} 的概率。",
    ),
    "cost.attention_dropout": (
        "On a CPU dropout on attention leaves torch's fused kernel: attention took 1.7 times as long at 128 tokens and "
        "2.5 times at 512, and probabilities of {size} are kept, {share} of the activations. dropout.attention=0 keeps "
        "none.",
        "在 CPU 上，注意力上的 dropout 无法使用 torch 的融合内核：注意力耗时在 128 个词元时为 1.7 倍，512 个时为 2.5 "
        "倍，并需保留 {size} 的概率，占激活值的 {share}。设 dropout.attention=0 则无需保留。",
    ),
    "cost.rms_norm": (
        "On a CPU, torch's RMS norm takes about four times as long as its layer norm, which is fused; "
        "norm={{kind: layer_norm, bias: false}} has as many weights.",
        "在 CPU 上，torch 的 RMS 归一化耗时约为层归一化的四倍，后者是融合实现；"
        "norm={{kind: layer_norm, bias: false}} 的权重数与它相同。",
    ),
}
