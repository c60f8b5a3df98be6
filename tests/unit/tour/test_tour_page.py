"""The page of a quickstart: whole in two languages, closed against what it shows, each figure traced to its results."""

from __future__ import annotations

import copy
import json
import re
import shlex
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import pytest
from report_content import EVIL
from report_pages import Element, read_page, shown_numbers, texts, untranslated, written_numbers
from tour_results import group, make_default, make_own, resume, share

from groundup.reporting.content_tour import FILES, REPORTS
from groundup.reporting.markup import Html
from groundup.reporting.sections_next import find_next
from groundup.reporting.sections_proofs import Piece, has_space, read_pieces
from groundup.reporting.sections_tour import mark_difference
from groundup.reporting.texts import TEXTS
from groundup.spoken.form import Kind
from groundup.tour.page import gather, write_page

MAKERS = {"default": make_default, "own": make_own}
PARTS = {
    "default": ["resume", "exact", "samples", "shown", "sentiment", "transformers", "next", "files"],
    "own": ["resume", "pretrained", "shown", "labels", "transformers", "next", "files"],
}


def fill(folder: Path, results: dict[str, Any], *, segmenter: str = "jieba", names: tuple[str, ...] = ()) -> None:
    """The files that a quickstart would have left, as far as the page looks at them."""
    asked = {"corpus": None, "labels": None, "text": "text", "label": "label", "minutes": results["minutes"]}
    if results["kind"] == "own":
        asked |= {"corpus": "my text.txt", "labels": "my.csv", "label": "class"}
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    plan = {"asked": asked, "threads": 2, "steps": {}, "segmenter": segmenter}
    (folder / "quickstart.json").write_text(json.dumps(plan), encoding="utf-8")


def draw(folder: Path, results: dict[str, Any], **how: Any) -> Element:
    fill(folder, results, **how)
    return read_page(write_page(folder, results).read_text(encoding="utf-8"))


def part(root: Element, name: str) -> Element:
    (found,) = root.find("section", id=name)
    return found


@pytest.mark.parametrize("kind", MAKERS)
def test_the_page_is_whole_and_in_both_languages(kind: str, tmp_path: Path) -> None:
    root = draw(tmp_path, MAKERS[kind]())
    assert [each.attributes["id"] for each in root.find("section")] == PARTS[kind]
    assert [link.attributes["href"] for link in root.find("nav")[0].find("a")] == [f"#{name}" for name in PARTS[kind]]
    assert root.find("a", class_="skip")[0].attributes["href"] == f"#{PARTS[kind][0]}"
    ids = [each.attributes["id"] for each in root.walk() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    assert untranslated(root) == []
    english, chinese = (root.find("main")[0].text(name) for name in ("en", "zh"))
    assert "Proof 1" in english and "证明一" not in english
    assert "证明一" in chinese and "Proof 1" not in chinese
    for row in root.find("tr"):
        assert row.find("th"), "each row has a heading"


def test_every_kind_and_file_has_a_text() -> None:
    assert {f"spoken_kind.{kind}" for kind in get_args(Kind)} <= set(TEXTS)
    assert {f"file.{name}" for name in FILES.values()} | {f"report_of.{name}" for name in REPORTS} <= set(TEXTS)


@pytest.mark.parametrize("kind", MAKERS)
def test_every_figure_stands_in_the_results(kind: str, tmp_path: Path) -> None:
    results = MAKERS[kind]()
    shown = shown_numbers(figures_of(draw(tmp_path, results)))
    assert len(shown) > 25
    assert shown - known_numbers(results) == set()


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("default", ("written", "groups", 0, "exact")),
        ("default", ("written", "groups", 8, "nearest_neighbour")),
        ("default", ("sentiment", "groups", 1, "low")),
        ("default", ("transformers", "largest_difference")),
        ("own", ("gain", "high")),
        ("own", ("pretrained", "metrics", "loss", "value")),
        ("own", ("resume", "killed_in_save_of")),
    ],
)
def test_a_figure_from_elsewhere_would_be_found(kind: str, path: tuple[str | int, ...], tmp_path: Path) -> None:
    results, changed = MAKERS[kind](), copy.deepcopy(MAKERS[kind]())
    inner: Any = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = 17 if isinstance(inner[path[-1]], int) else 0.98765
    assert shown_numbers(figures_of(draw(tmp_path, changed))) - known_numbers(results)


def figures_of(root: Element) -> Element:
    """The page without the commands and the files, whose numbers are no figures."""
    main = root.find("main")[0]
    main.children = [
        each
        for each in main.children
        if not (isinstance(each, Element) and each.attributes.get("id") in ("next", "files"))
    ]
    return main


def known_numbers(results: dict[str, Any]) -> set[str]:
    """Differences are shown in percentage points, with a sign; the hash has a number in its name."""
    found = written_numbers(results) | {"256"}
    gain = results.get("gain") or {}
    return found | {f"{abs(100 * gain[name]):.1f}" for name in ("value", "low", "high") if name in gain}


def spoil(value: Any, name: str = "") -> Any:
    """Every free text with EVIL behind it; names that the page looks up stay."""
    fixed = {"kind", "split", "direction", "verdict"}
    if isinstance(value, dict):
        return {key: spoil(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [spoil(item, name) for item in value]
    return f"{value}{EVIL}" if isinstance(value, str) and name not in fixed else value


@pytest.mark.parametrize("kind", MAKERS)
def test_what_the_results_hold_cannot_break_the_page(kind: str, tmp_path: Path) -> None:
    clean = draw(tmp_path, MAKERS[kind]())
    results = spoil(MAKERS[kind]())
    page = write_page(tmp_path, results).read_text(encoding="utf-8")
    assert "<img src=x" not in page and page.count("<script") == 1
    root = read_page(page)
    assert {each.name for each in root.walk()} <= {each.name for each in clean.walk()}
    assert sum("onerror=alert" in text for _, text in texts(root)) > 4, "it is shown, as text"
    assert not any(name.startswith("on") for each in root.walk() for name in each.attributes)


def test_nothing_is_fetched_and_links_lead_to_what_is_there(tmp_path: Path) -> None:
    names = ("results.json", "proof/resume.json", "written/report.html", "proof/killed/report.html")
    root = draw(tmp_path, make_default(), names=names)
    links = [each.attributes["href"] for each in part(root, "files").find("a")]
    assert sorted(links) == sorted([*names, "quickstart.json"])
    assert all((tmp_path / unquote(link)).is_file() for link in links)
    assert not [each for each in root.walk() if "src" in each.attributes]
    (policy,) = (each.attributes["content"] for each in root.find("meta") if "http-equiv" in each.attributes)
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy


def test_the_proof_of_resume_says_whether_it_holds(tmp_path: Path) -> None:
    found = part(draw(tmp_path, make_default()), "resume")
    assert found.find("p", class_="verdict")[0].attributes["class"] == "verdict right"
    assert found.text().count("85" * 32) == 2 and "resumed from step 6" in found.text("en")
    broken = resume(resumed="17" * 32, is_exact=False)
    root = draw(tmp_path, make_default(resume=broken))
    verdict = part(root, "resume").find("p", class_="verdict")[0]
    assert verdict.attributes["class"] == "verdict wrong" and "NOT equal" in verdict.text("en")
    assert "NOT the same" in root.find("header")[0].text("en")


def test_a_proof_of_older_results_says_no_more_than_it_knows(tmp_path: Path) -> None:
    older = {name: value for name, value in resume().items() if name != "resumed_from"}
    text = part(draw(tmp_path, make_default(resume=older)), "resume").text("en")
    assert "started again" in text and "from step" not in text


def test_exact_answers_are_by_language_and_direction(tmp_path: Path) -> None:
    values, patterns, kinds = part(draw(tmp_path, make_default()), "exact").find("table")
    rows = [row.text("en") for table in (values, patterns) for row in table.find("tbody")[0].find("tr")]
    assert len(rows) == len(set(rows)) == 10 and rows[0].startswith("English · said → written")
    assert rows[4].startswith("all400") and "71.4% [65.4%, 77.4%]" in rows[4] and "44.7%" in rows[9]
    assert [figure.find("figcaption")[0].text("en") for figure in values.above() if figure.name == "figure"] == [
        "Exact answers on unseen values"
    ]
    order = [row.find("th")[0].text("en") for row in kinds.find("tbody")[0].find("tr")]
    assert order == ["date", "brand_new", "several at once"], "the best first; a kind without a text by its name"


def test_wrong_sentences_stand_beside_what_was_expected(tmp_path: Path) -> None:
    right, wrong = part(draw(tmp_path, make_default()), "samples").find("li")
    assert right.attributes["class"] == "example right" and not right.find("mark")
    assert wrong.attributes["class"] == "example wrong"
    assert [each.text() for each in wrong.find("mark")] == ["95.7", "95.1"] and "给95.1%的小费" in wrong.text("zh")


@pytest.mark.parametrize(
    ("answer", "expected", "marked"),
    [
        ("it is €500 now", "it is €587 now", ("500", "587")),
        ("a b", "a b c", (None, " c")),
        ("", "x", (None, "x")),
        ("aa", "aaa", ("aa", "aaa")),
        ("at 07:48.", "at 11:48.", ("07:48.", "11:48.")),
        ("十二月", "十一月", ("二", "一")),
        ("<b>", "<i>", ("b", "i")),
    ],
)
def test_what_differs_is_marked(answer: str, expected: str, marked: tuple[str | None, str | None]) -> None:
    shown = mark_difference(answer, expected)
    assert all(isinstance(each, Html) for each in shown)
    found = [re.findall("<mark>(.*)</mark>", each) for each in shown]
    assert found == [[] if each is None else [each] for each in marked]
    assert [re.sub("</?mark>", "", each).replace("&lt;", "<").replace("&gt;", ">") for each in shown] == [
        answer,
        expected,
    ]


def test_an_answer_without_end_is_cut_and_the_page_says_so(tmp_path: Path) -> None:
    results = make_default()
    assert "cut here" not in part(draw(tmp_path, results), "samples").text("en")
    results["written"]["examples"][1]["answer"] = "给" + "哈" * 900
    found = part(draw(tmp_path, results), "samples")
    assert "cut here" in found.text("en") and 100 < found.text("en").count("哈") < 200


def test_a_word_is_one_mark(tmp_path: Path) -> None:
    english, chinese = part(draw(tmp_path, make_default()), "shown").find("article")
    chips = [(chip.find("b")[0].text(), chip.find(class_="seen")[0].text()) for chip in english.find(class_="chip")]
    assert chips == [("comfortable", "■■"), ("skipped", "■ped")]
    assert "the museum." in english.text()
    line = chinese.find("p")[0]
    assert line.attributes["lang"] == "zh-CN"
    assert line.text() == "[CLS] 网课用的是是同一本■■教材，多两次答疑。 [SEP]"
    styles = [chip.attributes["class"] for chip in chinese.find(class_="chip")]
    assert styles == ["chip asked kept", "chip asked hidden"]


def test_marks_are_read_as_they_were_written() -> None:
    words = "[CLS] [MASK ##ed→did] a [ b [x→y] [= [=c] [SEP]"
    assert list(read_pieces(words)) == [
        Piece("[CLS]"),
        Piece("did", "MASK ##ed"),
        Piece("a"),
        Piece("["),
        Piece("b"),
        Piece("y", "x"),
        Piece("[="),
        Piece("c", "c"),
        Piece("[SEP]"),
    ]
    assert list(read_pieces("[x→y] [MASK→z] [broken")) == [
        Piece("y", "x"),
        Piece("z", "MASK"),
        Piece("[broken"),
    ]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("a", "b", True),
        ("a", "##b", False),
        ("网", "课", False),
        ("a", ",", False),
        ("4k", "显", False),
        ("'", "s", False),
    ],
)
def test_spaces_stand_where_people_put_them(left: str, right: str, expected: bool) -> None:
    assert has_space(Piece(left), Piece(right)) is expected


def test_a_missing_segmenter_is_named(tmp_path: Path) -> None:
    own = make_own(masked=[{"text": "[CLS] [x→y] 网 [MASK→课] [SEP]", "sample": 3}])
    with_it = part(draw(tmp_path, own), "shown")
    without = part(draw(tmp_path, own, segmenter="none"), "shown")
    assert "whole words" in with_it.text("en") and not with_it.find("pre")
    assert "whole words" not in without.text("en") and "groundup[chinese]" in without.text()
    assert [each.find("b")[0].text() for each in without.find("article")[0].find(class_="chip")] == ["y", "课"]


def test_a_classifier_that_knows_nothing_is_not_praised(tmp_path: Path) -> None:
    results = make_default()
    assert "something was learnt" in part(draw(tmp_path, results), "sentiment").text("en")
    results["sentiment"]["all"] = share("all", 0.41)
    found = part(draw(tmp_path, results), "sentiment")
    assert "do not trust" in found.text("en") and "不要信任" in found.text("zh")
    assert "always “neutral”" in found.text("en") and "38.4%" in found.text("en")


@pytest.mark.parametrize(("value", "word"), [(0.0533, "It helped"), (0.01, "No difference"), (-0.06, "It hurt")])
def test_the_gain_has_a_verdict(value: float, word: str, tmp_path: Path) -> None:
    found = part(draw(tmp_path, make_own(gain=share("difference", value, spread=0.03))), "labels")
    assert found.find("p", class_="verdict")[0].text("en")[1:].startswith(word)
    assert f"{100 * value:+.1f}".replace("-", "−") in found.text("en")
    assert len(found.find("tbody")[0].find("tr")) == 3


@pytest.mark.parametrize(("difference", "style"), [(9.9e-6, "right"), (2e-5, "wrong")])
def test_logits_are_the_same_or_not(difference: float, style: str, tmp_path: Path) -> None:
    same = make_default()["transformers"] | {"largest_difference": difference}
    found = part(draw(tmp_path, make_default(transformers=same)), "transformers")
    assert found.find("p", class_="verdict")[0].attributes["class"] == f"verdict {style}"
    assert f"{difference:.1e}" in found.text("en")


def test_without_transformers_the_page_says_how(tmp_path: Path) -> None:
    found = part(draw(tmp_path, make_own()), "transformers")
    assert "pip install 'groundup[interop]'" in found.text() and not found.find("p", class_="verdict")


@pytest.mark.parametrize("missing", ["written", "masked", "sentiment", "transformers"])
def test_parts_that_are_missing_leave_the_others(missing: str, tmp_path: Path) -> None:
    results = {name: value for name, value in make_default().items() if name != missing}
    root = draw(tmp_path, results)
    gone = {"written": {"exact", "samples"}, "masked": {"shown"}}.get(missing, {missing})
    assert [each.attributes["id"] for each in root.find("section")] == [
        name for name in PARTS["default"] if name not in gone
    ]
    assert untranslated(root) == []


def test_an_encoder_alone_has_a_page(tmp_path: Path) -> None:
    names = ("kind", "minutes", "threads", "resume", "pretrained", "masked")
    results = {name: value for name, value in make_own().items() if name in names}
    results["pretrained"] |= {"metrics": {}, "step_of_model": None}
    root = draw(tmp_path, results)
    assert [each.attributes["id"] for each in root.find("section")] == [
        "resume",
        "pretrained",
        "shown",
        "next",
        "files",
    ]
    assert "Nothing was validated" in root.text("en") and untranslated(root) == []


def test_a_long_quickstart_compares_starts_too(tmp_path: Path) -> None:
    more = {name: make_own()[name] for name in ("pretrained", "pretrained_labels", "fresh_labels", "gain")}
    results = make_default(minutes=30.0, **more)
    root = draw(tmp_path, results)
    names = [each.attributes["id"] for each in root.find("section")]
    assert names == [*PARTS["default"][:-2], "pretrained", "labels", "next", "files"]
    assert untranslated(root) == [] and shown_numbers(figures_of(root)) - known_numbers(results) == set()
    for name, language, own in (("labels", "en", "Your"), ("pretrained", "en", "your"), ("labels", "zh", "您的")):
        assert own not in part(read_page((tmp_path / "report.html").read_text(encoding="utf-8")), name).text(language)
    pieces = [name for name, *_ in find_next(gather(tmp_path, results))]
    assert pieces == ["write", "sentiment", "masks", "own", "longer"]


def test_few_groups_are_enough(tmp_path: Path) -> None:
    results = make_default()
    results["written"] |= {"groups": [group(0.5, 8)], "examples": []}
    root = draw(tmp_path, results)
    assert not part(root, "exact").find("table") and not root.find("section", id="samples")


def test_commands_are_such_as_can_be_run(tmp_path: Path) -> None:
    """Each goes on in a folder of its own, since a quickstart's folder belongs to its settings."""
    fill(tmp_path, make_default())
    pieces = {name: lines for name, *lines in find_next(gather(tmp_path, make_default()))}
    assert list(pieces) == ["write", "sentiment", "own", "longer"]
    assert pieces["write"][1] == 'groundup predict runs/quickstart/written "写：二〇二四年三月五号下午三点"'
    assert shlex.split(pieces["longer"][0])[2:] == ["--minutes", "30", "--output", f"{tmp_path}-30-minutes"]
    fill(tmp_path, make_own())
    pieces = {name: lines for name, *lines in find_next(gather(tmp_path, make_own(minutes=20.0)))}
    assert list(pieces) == ["labels", "masks", "longer"]
    assert "--corpus 'my text.txt' --labels my.csv --label class --minutes 40" in pieces["longer"][0]
    hurt = make_own(gain=share("difference", -0.06, spread=0.03))
    assert "fresh_labels" in dict((name, lines[0]) for name, *lines in find_next(gather(tmp_path, hurt)))["labels"]
    for _, *lines in find_next(gather(tmp_path, make_own())):
        assert all(shlex.split(line)[0] == "groundup" for line in lines)
