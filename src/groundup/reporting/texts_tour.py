"""Texts of the page of a quickstart, as (English, Chinese)."""

from __future__ import annotations

from typing import Final

TOUR: Final[dict[str, tuple[str, str]]] = {
    # Its frame.
    "tour.kind": ("quickstart", "快速上手"),
    "tour.title.default": (
        "Three proofs, a model that writes, a hard small task",
        "三项证明、一个会书写的模型、一个小而难的任务",
    ),
    "tour.title.own": ("Your own text and labels", "您自己的文本与标签"),
    "tour.lead.default": (
        "Trained here from fresh weights, on data that comes with groundup, in English and Chinese. Every figure can "
        "be traced to a file beside this page.",
        "全部在本机上从随机权重训练，数据随 groundup 提供，中英双语。每个数字都能在本页旁边的文件中查到。",
    ),
    "tour.lead.own": (
        "Trained here from fresh weights, on your data alone. Every figure can be traced to a file beside this page.",
        "全部在本机上从随机权重训练，只用您的数据。每个数字都能在本页旁边的文件中查到。",
    ),
    "tour.made": (
        "Every figure of this page stands in results.json beside it, with all its digits.",
        "本页的所有数字都在旁边的 results.json 中，位数完整。",
    ),
    "tour.minutes": ("minutes given", "给定的分钟数"),
    "tour.threads": ("CPU threads", "CPU 线程数"),
    "tour.bits": ("killed and resumed", "终止后继续"),
    "tour.bits.equal": ("same bits", "逐位相同"),
    "tour.bits.different": ("NOT the same", "不相同"),
    "tour.exact": ("exact, unseen values", "完全正确（未见数值）"),
    "tour.sentiment": ("sentiment, accuracy", "情感分类准确率"),
    "tour.labels": ("your labels, accuracy", "您的标签，准确率"),
    "tour.logits": ("logits, furthest apart", "logits 最大差"),
    "tour.rows": ("rows", "条数"),
    "nav.resume": ("Proof 1", "证明一"),
    "nav.exact": ("Writing", "书写"),
    "nav.samples": ("Samples", "样例"),
    "nav.shown": ("Proof 2", "证明二"),
    "nav.sentiment": ("Sentiment", "情感"),
    "nav.transformers": ("Proof 3", "证明三"),
    "nav.pretrained": ("Reading", "预训练"),
    "nav.labels": ("Labels", "标签"),
    "nav.next": ("Next", "下一步"),
    "nav.files": ("Files", "文件"),
    # Proof 1.
    "resume.title": (
        "Proof 1: killed while saving, resumed to the same bits",
        "证明一：保存途中被强制终止，继续训练后逐位相同",
    ),
    "resume.what": (
        "One recipe was trained twice for {steps} steps. One of the two was killed (SIGKILL) in the middle of writing "
        "the checkpoint of step {killed}, then started again with the same command. The sha256 is over weights, "
        "optimizer, progress and metrics at the end.",
        "同一配方训练两次，各 {steps} 步。其中一次在写第 {killed} 步的检查点途中被 SIGKILL 强制终止，"
        "随后用同一命令重新启动。sha256 覆盖结束时的权重、优化器、进度与指标。",
    ),
    "resume.whole": ("not interrupted: steps 0 to {steps}", "未中断：第 0 步到第 {steps} 步"),
    "resume.killed_from": (
        "killed in the save of step {killed}, then resumed from step {start}, the newest whole checkpoint",
        "在保存第 {killed} 步时被强制终止，然后从第 {start} 步（最新的完整检查点）继续",
    ),
    "resume.killed_anew": (
        "killed in the save of step {killed}, then started again",
        "在保存第 {killed} 步时被强制终止，然后重新启动",
    ),
    "resume.equal": ("Equal: both runs ended with the very same bits.", "相等：两次训练结束时逐位相同。"),
    "resume.different": (
        "NOT equal: the resumed run ended with other bits. Please report this.",
        "不相等：继续训练的结果与未中断的不同。请报告此问题。",
    ),
    # The model that writes.
    "exact.title": (
        "A small decoder writes down what was said, and reads it out",
        "小型解码器：把口语写成书面形式，再读出来",
    ),
    "exact.what": (
        "Trained for {steps} steps in {seconds}. An answer counts when it is the same to the last character, on rows "
        "whose values, or whose patterns of sentence, it never saw. Brackets: 95% interval. Beside it: who answers as "
        "the most similar training row does.",
        "训练 {steps} 步，用时 {seconds}。测试行的数值或句式在训练中从未出现，答案须与标准一字不差才算对。"
        "方括号内为 95% 置信区间。对照：照抄最相似训练行的答案。",
    ),
    "exact.neighbour": ("nearest neighbour: {share}", "最近邻：{share}"),
    "exact.neighbour_head": ("nearest neighbour", "最近邻"),
    "exact.share": ("exactly right", "完全正确"),
    "exact.kinds": ("Exact answers by kind of value, the best first", "按数值类型的完全正确率（从高到低）"),
    "exact.part": ("language and direction", "语言与方向"),
    "exact.kind": ("kind", "类型"),
    "exact.all": ("all", "合计"),
    "exact.tick": (
        "Dot and bar: the model with its interval. Upright tick: the nearest neighbour.",
        "圆点与横条：模型及其区间；竖线：最近邻。",
    ),
    "exact.table.test_values": ("Exact answers on unseen values", "未见过的数值上的完全正确率"),
    "exact.table.test_patterns": ("Exact answers on unseen patterns", "未见过的句式上的完全正确率"),
    "held_out.test_values": ("unseen values", "未见过的数值"),
    "held_out.test_patterns": ("unseen patterns", "未见过的句式"),
    "direction.to_written": ("said → written", "口语 → 书面"),
    "direction.to_spoken": ("written → said", "书面 → 口语"),
    "spoken_kind.number": ("number", "数字"),
    "spoken_kind.digits": ("digits", "逐位数字"),
    "spoken_kind.ordinal": ("ordinal", "序数"),
    "spoken_kind.decimal": ("decimal", "小数"),
    "spoken_kind.percent": ("percentage", "百分数"),
    "spoken_kind.money": ("money", "金额"),
    "spoken_kind.date": ("date", "日期"),
    "spoken_kind.time": ("time", "时间"),
    "spoken_kind.datetime": ("date and time", "日期加时间"),
    "spoken_kind.phone": ("phone number", "电话号码"),
    "spoken_kind.mixed": ("several at once", "多种混合"),
    "spoken_kind.plain": ("nothing to convert", "无需转换"),
    "samples.title": ("Sentences right and wrong", "答对与答错的句子"),
    "samples.what": (
        "Held-out sentences, spread over the test rows: for each language and direction some right and some wrong, so "
        "their number says nothing about the shares above. What differs is marked.",
        "从测试行中均匀选取的留出句子：每种语言与方向各取若干对的和错的，因此其数量不反映上面的比例。不同之处已标出。",
    ),
    "samples.cut": (
        "Answers that did not end are cut here (…); they stand whole in the files.",
        "没有收尾的答案在此截断（…），完整内容见文件。",
    ),
    "samples.prompt": ("asked", "提问"),
    "samples.answer": ("answered", "回答"),
    "samples.expected": ("expected", "应为"),
    # Proof 2.
    "shown.title.word": (
        "Proof 2: what a masked model is asked, whole words at a time",
        "证明二：掩码模型被问什么，整词为单位",
    ),
    "shown.title.token": ("Proof 2: what a masked model is asked", "证明二：掩码模型被问什么"),
    "shown.what.word": (
        "Sequences of a real batch, decoded. Framed: what has to be predicted, whole words as one; above it what the "
        "model sees instead.",
        "真实批次中的序列，已解码。加框的是需要预测的内容，整词合为一框；上方是模型实际看到的。",
    ),
    "shown.what.token": (
        "Sequences of a real batch, decoded. Framed: the tokens that have to be predicted; above each what the model "
        "sees instead.",
        "真实批次中的序列，已解码。加框的是需要预测的词元，上方是模型实际看到的。",
    ),
    "shown.hidden": ("hidden, a square for each token", "遮住，每个方块代表一个词元"),
    "shown.replaced": ("another token in its place", "换成了别的词元"),
    "shown.kept": ("left as it is, asked all the same", "保持原样，但仍要预测"),
    "shown.no_segmenter": (
        "Chinese words are found by a segmenter, which is not installed here:",
        "中文分词需要分词器，本机尚未安装：",
    ),
    # Classifiers.
    "sentiment.title": ("The hard, small one: positive, neutral or negative", "小而难的任务：正面、中性或负面"),
    "sentiment.what": (
        "From fresh weights, in {seconds}, on the few sentences that come with groundup; measured on sentences that "
        "played no part in training. Brackets: 95% interval.",
        "从随机权重开始，用时 {seconds}，只用 groundup 自带的少量句子；在未参与训练的句子上测得。"
        "方括号内为 95% 置信区间。",
    ),
    "judged.all": ("all test rows", "全部测试行"),
    "judged.commonest": ("always “{label}”", "总是回答“{label}”"),
    "judged.beats": (
        "The interval lies above the commonest answer: something was learnt.",
        "区间高于总是回答最常见标签的结果：确实学到了东西。",
    ),
    "judged.fails": (
        "The interval reaches down to the commonest answer: do not trust this classifier yet. More labelled rows, or "
        "more minutes, are what helps.",
        "区间低至总是回答最常见标签的水平：暂时不要信任这个分类器。更多带标签的数据或更长的训练时间会有帮助。",
    ),
    "judged.tick": (
        "Upright tick: who always answers the commonest label of training.",
        "竖线：总是回答训练中最常见的标签。",
    ),
    "judged.which": ("classifier", "分类器"),
    "judged.part": ("part", "部分"),
    "labels.title.default": (
        "The same task: did reading first help?",
        "同一任务：先预训练有帮助吗？",
    ),
    "labels.title.own": ("Your labels: did reading your text first help?", "您的标签：先在您的文本上预训练有帮助吗？"),
    "labels.what.default": (
        "Two classifiers of one design, on the same rows that played no part in training: one from the encoder that "
        "read first, one from fresh weights. Brackets: 95% interval.",
        "结构相同的两个分类器，在同样未参与训练的数据上比较：一个从预训练的编码器开始，一个从随机权重开始。"
        "方括号内为 95% 置信区间。",
    ),
    "labels.what.own": (
        "Two classifiers of one design, on the same rows that played no part in training: one from the encoder that "
        "read your text, one from fresh weights. Brackets: 95% interval.",
        "结构相同的两个分类器，在同样未参与训练的数据上比较：一个从在您的文本上预训练的编码器开始，一个从随机权重开始。"
        "方括号内为 95% 置信区间。",
    ),
    "labels.pretrained_labels": ("read first", "先预训练"),
    "labels.fresh_labels": ("fresh weights", "随机权重"),
    "labels.judged": ("Read first: ", "先预训练："),
    "labels.gain": ("Read first minus fresh, row by row", "先预训练减去随机权重（逐行配对）"),
    "labels.gain_note": (
        "In percentage points, paired over {count} rows; upright tick: no difference.",
        "单位为百分点，在 {count} 行上配对；竖线：无差别。",
    ),
    "labels.helped": (
        "It helped: the whole interval lies above zero.",
        "有帮助：整个区间都在零以上。",
    ),
    "labels.hurt": ("It hurt: the whole interval lies below zero.", "有害：整个区间都在零以下。"),
    "labels.open": (
        "No difference can be told: the interval holds zero. More test rows would tell smaller differences.",
        "看不出差别：区间包含零。更多测试行才能分辨更小的差别。",
    ),
    # Pretraining.
    "pretrained.title.default": (
        "An encoder that read the documentation of this Python, and the sentences to learn from",
        "读过本机 Python 文档与训练句子的编码器",
    ),
    "pretrained.title.own": ("An encoder that read your text", "在您的文本上预训练的编码器"),
    "pretrained.what": (
        "{steps} steps in {seconds}; the weights are those of step {model}. Brackets: 95% interval.",
        "训练 {steps} 步，用时 {seconds}；权重取自第 {model} 步。方括号内为 95% 置信区间。",
    ),
    "pretrained.none": ("Nothing was validated.", "没有验证结果。"),
    # Proof 3.
    "transformers.title": (
        "Proof 3: the trained folder opens in transformers",
        "证明三：训练好的文件夹可在 transformers 中打开",
    ),
    "transformers.same": (
        "Opened with its Auto classes, the folder gives the same logits over {texts} texts: the furthest apart differ "
        "by {difference}.",
        "用其 Auto 类打开该文件夹，在 {texts} 条文本上得到相同的 logits：最大差为 {difference}。",
    ),
    "transformers.apart": (
        "Opened with its Auto classes, the folder gives OTHER logits over {texts} texts: the furthest apart differ by "
        "{difference}. Please report this.",
        "用其 Auto 类打开该文件夹，在 {texts} 条文本上得到不同的 logits：最大差为 {difference}。请报告此问题。",
    ),
    "transformers.bound": ("Same means: no further apart than {bound}.", "“相同”是指差不超过 {bound}。"),
    "transformers.not": (
        "Not compared on this machine: transformers is not installed. This brings it; the same quickstart, started "
        "again, then compares without training anew:",
        "本机未做比较：没有安装 transformers。用下面的命令安装；再次启动同一快速上手即可比较，无需重新训练：",
    ),
    # What is next.
    "next.title": ("What to do next", "下一步做什么"),
    "next.write": ("Ask the model that writes:", "让会书写的模型试试："),
    "next.sentiment": ("Ask the classifier:", "试试分类器："),
    "next.masks": ("Fill masks with the encoder:", "用编码器填补掩码："),
    "next.labels": ("Ask your classifier:", "试试您的分类器："),
    "next.own": ("Do the same with your own text and labels:", "用您自己的文本和标签来做："),
    "next.corpus": (
        "Let the encoder read more than the labelled texts alone:",
        "让编码器读更多文本，而不只是带标签的文本：",
    ),
    "next.with_labels": ("Add labelled rows, and see what they teach:", "加上带标签的数据，看看效果："),
    "next.longer": ("Give it more time:", "给它更多时间："),
    # Files.
    "files.title": ("Where every number stands", "每个数字的出处"),
    "files.reports": (
        "Each run has a full report of its own: curves, classes, masks, design, recipe.",
        "每次训练都有完整的报告：曲线、类别、掩码、结构、配方。",
    ),
    "files.file": ("file", "文件"),
    "files.holds": ("holds", "内容"),
    "report_of.written": ("the model that writes", "会书写的模型"),
    "report_of.sentiment": ("sentiment", "情感分类"),
    "report_of.pretrained": ("the encoder that reads first", "预训练的编码器"),
    "report_of.pretrained_labels": ("labels, read first", "标签分类，先预训练"),
    "report_of.fresh_labels": ("labels, fresh weights", "标签分类，随机权重"),
    "report_of.proof/uninterrupted": ("proof 1, not interrupted", "证明一，未中断"),
    "report_of.proof/killed": ("proof 1, killed and resumed", "证明一，终止后继续"),
    "file.results": ("every figure of this page", "本页的所有数字"),
    "file.plan": ("what was asked for, and the steps decided on", "请求的内容与决定的步数"),
    "file.resume": ("the two hashes of proof 1", "证明一的两个哈希值"),
    "file.spoken": ("the test rows of the model that writes", "会书写的模型的测试行"),
    "file.exact": ("exact answers by group, and the sentences", "各组完全正确率与例句"),
    "file.sentences": ("the test rows of sentiment", "情感分类的测试行"),
    "file.sentiment": ("accuracy of sentiment, row by row", "情感分类准确率，逐行"),
    "file.pretrained": ("every step of the encoder", "编码器的每一步"),
    "file.labels": ("your rows that were kept for the test", "留作测试的您的数据"),
    "file.pretrained_labels": ("accuracy, read first, row by row", "准确率（先预训练），逐行"),
    "file.fresh_labels": ("accuracy, fresh weights, row by row", "准确率（随机权重），逐行"),
}
