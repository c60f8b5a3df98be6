"""What the quickstart says while it goes: short, aligned, and nothing that is not in a file of its folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from groundup.tour.labels import Judged, Share
from groundup.tour.proofs import Resume, SameLogits
from groundup.tour.written import Group, Scored
from groundup.verbs.layout import columns
from groundup.verbs.show import ShowReport

_TITLES = {
    "data": "Sentences as people say and write them, from a grammar in two languages",
    "resume": "Proof 1: a run is killed while it saves, and ends with the same bits",
    "written": "A small decoder learns to write down what was said, and to read it out: {steps} steps",
    "masks": "Proof 2: what a masked model is asked, whole words at a time",
    "sentiment": "The hard, small one: positive, neutral or negative, 901 sentences to learn from",
    "pretrain": "An encoder reads your text: {steps} steps",
    "read": "An encoder reads the documentation of this Python and our own sentences: {steps} steps",
    "pretrained_labels": "The labels, from the encoder that has read",
    "fresh_labels": "The same from fresh weights: did reading help?",
}
_DIRECTIONS = {"to_written": "said to written", "to_spoken": "written to said"}
_LANGUAGES = {"en": "English", "zh": "Chinese"}
_SPLITS = {"test_values": "unseen values", "test_patterns": "unseen patterns"}


class Teller:
    """Prints to standard output, or nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._stage = 0

    def welcome(self, folder: Path, minutes: float, threads: int, *, own: bool) -> None:
        """What is about to happen."""
        what = "your own data" if own else "the data that comes with groundup"
        cores = f"{threads} CPU thread{'s' if threads > 1 else ''}"
        self._say(f"groundup quickstart on {what}: about {minutes:g} minutes on {cores}, all of it in {folder}")

    def stage(self, name: str, **values: object) -> None:
        """A new part begins."""
        self._stage += 1
        self._say(f"\n[{self._stage}] {_TITLES[name].format(**values)}")

    def resume(self, found: Resume) -> None:
        """Two hashes."""
        self._say(f"    not interrupted             sha256 {found.uninterrupted[:32]}")
        killed = f"killed in the save of step {found.killed_in_save_of}"
        self._say(f"    {killed:<27} sha256 {found.resumed[:32]}  {'equal' if found.is_exact else 'NOT EQUAL'}")

    def written(self, scored: Scored, run: Path) -> None:
        """The table of exact answers, some of them, and how to ask more."""
        rows = [("exact answers", "", "unseen values", "unseen patterns", "nearest neighbour")]
        for direction, title in _DIRECTIONS.items():
            for language, name in _LANGUAGES.items():
                cells = [scored.find(split=split, language=language, direction=direction) for split in _SPLITS]
                beside = sum(each.nearest_neighbour * each.count for each in cells) / sum(each.count for each in cells)
                rows.append((title, name, *map(_show, cells), f"{beside:.1%}"))
        self._table(rows, "llrrr")
        kinds = sorted((each for each in scored.groups if set(each.name) == {"kind"}), key=lambda each: -each.exact)
        self._say("    by kind: " + ", ".join(f"{each.name['kind']} {each.exact:.0%}" for each in kinds))
        for each in scored.examples:
            if each["split"] == "test_values" and each["verdict"] == "right" and each["direction"] == "to_written":
                self._say(f"    {each['prompt']}  =>  {each['answer']}")
        self._say(f'    try it: groundup predict {run} "write: three hundred and five dollars"')
        self._say(f'            groundup predict {run} "写：二〇二四年三月五号下午三点"')

    def masked(self, shown: ShowReport, segmenter: str) -> None:
        """A batch as the model sees it."""
        for each in shown.sequences:
            self._say(f"    {each.text}")
        if segmenter == "none":
            self._say("    (Chinese words need a segmenter: pip install 'groundup[chinese]')")

    def judged(self, judged: Judged, run: Path) -> None:
        """Accuracy on the test rows."""
        rows = [("accuracy", "rows", "", "95 % interval")]
        for each in (judged.all, *judged.groups, judged.commonest):
            name = f"always {each.name!r}" if each is judged.commonest else _LANGUAGES.get(each.name, each.name)
            rows.append((name, str(each.count), f"{each.value:.1%}", f"[{each.low:.1%}, {each.high:.1%}]"))
        self._table(rows, "lrrr")
        if not judged.beats_commonest:
            self._say("    its interval reaches down to the commonest answer: do not trust this classifier yet")
        self._say(f'    try it: groundup predict {run} "TEXT"')

    def transformers(self, same: SameLogits) -> None:
        """Whether the folder opens elsewhere."""
        self._say("\n    Proof 3: the trained folder opens in transformers")
        if same.largest_difference is None:
            self._say(f"    {same.why_not}")
        else:
            self._say(f"    largest difference of a logit over {same.texts} texts: {same.largest_difference:.1e}")

    def pretrained(self, run: Path) -> None:
        """What to do with an encoder alone."""
        self._say(f'    try it: groundup predict {run} "a text with a [MASK] in it"')

    def gain(self, gain: Share) -> None:
        """Whether reading helped."""
        verdict = "it helped" if gain.low > 0 else "it hurt" if gain.high < 0 else "no difference can be told"
        figures = f"{gain.value:+.1%} [{gain.low:+.1%}, {gain.high:+.1%}]"
        self._say(f"    read first minus fresh, on the same rows: {figures}: {verdict}")

    def end(self, text: str) -> None:
        """The last line."""
        self._say(f"\n{text}")

    def _table(self, rows: Sequence[tuple[str, ...]], alignment: str) -> None:
        for line in columns(rows, alignment, indent=4):
            self._say(line)

    def _say(self, text: str) -> None:
        if not self.quiet:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()


def _show(group: Group) -> str:
    return f"{group.exact:.1%} [{group.low:.0%}, {group.high:.0%}]"
