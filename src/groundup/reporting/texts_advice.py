"""What to try next and why, as (English, Chinese)."""

from __future__ import annotations

from typing import Final

ADVICE: Final[dict[str, tuple[str, str]]] = {
    "advice.title": ("What to try next", "下一步可以尝试"),
    "advice.what": (
        "Drawn from the figures of this run, the most telling first. Every command writes into a folder of its own.",
        "由本次训练的数字得出，最有把握的在前。每条命令都写入各自的新文件夹。",
    ),
    "advice.by_hand": ("This one is a matter of the data, not of a setting.", "这一条取决于数据，而不是某项设置。"),
    "advice.continue.title": ("Let the run end", "让训练跑完"),
    "advice.continue.reason": (
        "It stands at step {step} of {total}. The same recipe continues where the newest checkpoint is.",
        "目前在第 {step} 步，共 {total} 步。用同一配方启动即可从最新检查点继续。",
    ),
    "advice.skipped.title": ("Lower the learning rate", "降低学习率"),
    "advice.skipped.reason": (
        "{skipped} steps were not finite and were skipped; half the learning rate of {rate} is the first cure.",
        "有 {skipped} 步出现非有限数值而被跳过；首先可将学习率 {rate} 减半。",
    ),
    "advice.no_validation.title": ("Hold some data out", "留出一部分数据"),
    "advice.no_validation.reason": (
        "Without data.validation nobody knows how good this is, the last weights are kept instead of the best ones, "
        "and most of this page stays empty.",
        "没有 data.validation 就无法知道模型有多好，只能保留最后而非最佳的权重，本页的大部分内容也会空缺。",
    ),
    "advice.stuck.title": ("Raise the learning rate, and train for longer", "提高学习率并延长训练"),
    "advice.stuck.reason": (
        "Training loss is still {loss}, where an even guess has {guess}: the model has hardly begun to learn.",
        "训练损失仍为 {loss}，而均匀猜测为 {guess}：模型几乎还没有开始学习。",
    ),
    "advice.guessing.title": ("Do not trust this classifier yet", "暂时不要信任这个分类器"),
    "advice.guessing.reason": (
        "Its accuracy, {low} to {high} with 95% confidence, may be no better than always answering “{label}” "
        "({baseline}). It needs more labelled rows, or weights that know the language already.",
        "其准确率的 95% 区间为 {low} 至 {high}，可能并不优于总是回答“{label}”（{baseline}）。"
        "它需要更多带标签的数据，或已经懂得语言的权重。",
    ),
    "advice.pretrained.title": ("Start from a pretrained model", "从预训练模型开始"),
    "advice.pretrained.reason": (
        "{sequences} rows are little to learn a language from. PATH stands for a model folder, a run of yours with the "
        "objective masked, or a name on the hub.",
        "仅凭 {sequences} 条数据很难学会一门语言。PATH 可以是模型文件夹、"
        "你自己用 masked 目标训练的文件夹，或 hub 上的名称。",
    ),
    "advice.dropout.title": ("More dropout", "加大 dropout"),
    "advice.dropout.reason": (
        "At the end training loss is {train} and validation loss {validation}: the model knows its rows by heart.",
        "训练结束时训练损失为 {train}，验证损失为 {validation}：模型在死记训练数据。",
    ),
    "advice.shorter.title": ("Stop earlier", "更早停止"),
    "advice.shorter.reason": (
        "Validation loss was lowest at step {best} of {total} ({lowest}) and ended at {last}. A run of about that "
        "length lets the learning rate fall to its end there.",
        "验证损失在第 {best} 步（共 {total} 步）最低，为 {lowest}，结束时为 {last}。"
        "把训练缩短到大致这一长度，学习率会正好在那里降到底。",
    ),
    "advice.longer.title": ("Train for longer", "延长训练"),
    "advice.longer.reason": (
        "Validation loss was still falling when the run ended: {earlier} at step {step}, {last} at step {total}.",
        "训练结束时验证损失仍在下降：第 {step} 步为 {earlier}，第 {total} 步为 {last}。",
    ),
    "advice.max_length.title": ("Allow longer texts", "允许更长的文本"),
    "advice.max_length.reason": (
        "{cut} of the training rows are longer than {limit} tokens and were cut; {lost} of all tokens were lost.",
        "{cut} 的训练数据超过 {limit} 个词元而被截断，共丢失 {lost} 的词元。",
    ),
    "advice.min_length.title": ("Use the short ends too", "也利用较短的片段"),
    "advice.min_length.reason": (
        "{lost} of the tokens lie in documents or ends shorter than data.min_length={limit} and were left out.",
        "{lost} 的词元位于短于 data.min_length={limit} 的文档或片段中而未被使用。",
    ),
    "advice.vocabulary.title": ("A larger vocabulary", "扩大词表"),
    "advice.vocabulary.reason": (
        "{share} of the training tokens are unknown to the tokenizer, so the model cannot tell them apart.",
        "{share} 的训练词元是分词器不认识的，模型无法区分它们。",
    ),
    "advice.bytes.title": ("A tokenizer that knows every character", "使用不会遇到未知字符的分词器"),
    "advice.bytes.reason": (
        "{share} of the validation tokens are unknown to the tokenizer, of the training tokens {train}: new text has "
        "characters that training does not. Pairs of bytes can write all of them.",
        "验证数据中有 {share} 的词元是分词器不认识的（训练数据中为 {train}）："
        "新文本含有训练中没有的字符。字节对可以写出任何字符。",
    ),
    "advice.rare_class.title": ("More rows of the rare class", "补充稀少类别的数据"),
    "advice.rare_class.reason": (
        "“{label}” has {count} training rows, “{most}” has {most_count}; its recall is {recall}. Look at macro F1, "
        "which counts every class alike.",
        "“{label}”只有 {count} 条训练数据，而“{most}”有 {most_count} 条；其召回率为 {recall}。"
        "请看对各类别一视同仁的宏平均 F1。",
    ),
    "advice.language.title": ("More rows in the weaker language", "补充较弱语言的数据"),
    "advice.language.reason": (
        "Accuracy is {weak} in {weak_name} and {strong} in {strong_name}, and their intervals do not meet.",
        "{weak_name}的准确率为 {weak}，{strong_name}为 {strong}，两者的区间不相交。",
    ),
    "advice.more_validation.title": ("More validation rows", "增加验证数据"),
    "advice.more_validation.reason": (
        "{count} rows leave accuracy unsure by {width} points from end to end; about {wanted} would bring that to 6.",
        "仅 {count} 条验证数据使准确率的区间宽达 {width} 个百分点；约 {wanted} 条可将其缩至 6 个百分点。",
    ),
    "advice.evaluate_less.title": ("Validate less often", "降低验证频率"),
    "advice.evaluate_less.reason": (
        "{share} of the time went into validations, one every {every} steps.",
        "{share} 的时间花在验证上，每 {every} 步一次。",
    ),
    "advice.bf16.title": ("Compute in bfloat16", "使用 bfloat16 计算"),
    "advice.bf16.reason": (
        "This GPU multiplies bfloat16 several times faster than fp32; weights and optimizer stay in fp32.",
        "该 GPU 的 bfloat16 乘法比 fp32 快数倍；权重与优化器仍为 fp32。",
    ),
    "advice.seed.title": ("Another seed", "换一个随机种子"),
    "advice.seed.reason": (
        "The intervals above tell how much the choice of validation rows matters. How much luck there is in weights "
        "and order, only a second seed tells.",
        "上面的区间只反映验证数据抽样的影响。权重初始化与数据顺序中有多少运气，只有换一个种子才知道。",
    ),
}
