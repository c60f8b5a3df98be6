"""The page of a report: complete in two languages, closed against what it shows, each figure traced to its data."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import string
from pathlib import Path
from typing import Any

import pytest
from report_content import EVIL, figure, make_classes, make_content, make_design, make_writing
from report_pages import Element, read_page, shown_numbers, texts, untranslated, written_numbers

from groundup.metrics.answers import answer_tallies
from groundup.metrics.entities import tag_tallies
from groundup.metrics.tally import measure
from groundup.reporting import page as page_module
from groundup.reporting.content_rows import Figure
from groundup.reporting.language import say, say_name
from groundup.reporting.markup import Html, commas, data, join, tag
from groundup.reporting.page import render
from groundup.reporting.sections_results import draw_card
from groundup.reporting.texts import TEXTS

SOURCE = Path(page_module.__file__).parent
PARTS = [
    "results",
    "curves",
    "classes",
    "examples",
    "labels",
    "numbers",
    "choices",
    "masked",
    "written",
    "found",
    "batch",
    "design",
    "data",
    "recipe",
    "machine",
]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", TEXTS)
def test_every_text_has_both_languages(key: str) -> None:
    english, chinese = TEXTS[key]
    assert english.strip() and chinese.strip()
    assert fields(english) == fields(chinese)
    assert not re.search(r"[\u4e00-\u9fff]", english)


def test_most_texts_are_really_translated() -> None:
    """Names that both languages write alike are few; everything else has Chinese characters."""
    alike = {key for key, (_, chinese) in TEXTS.items() if not re.search(r"[\u4e00-\u9fff]", chinese)}
    assert alike == {
        "design.dropout",
        "design.flops_count",
        "diagram.times",
        "machine.gpu",
        "machine.torch",
        "metric.f1",
        "metric.r2",
        "results.over",
        "run.of",
    }


def test_no_text_is_left_over() -> None:
    """A text that nothing says would be kept translated for nobody. Keys of kinds are composed from their section."""
    source = "".join(path.read_text(encoding="utf-8") for path in SOURCE.glob("*.py") if "texts" not in path.name)
    composed = set(re.findall(r'f"([a-z_.]+)\.\{', source)) | set(re.findall(r'say_name\("([a-z_]+)"', source))
    composed |= {"all", "by", "fate", "script", "language", "position"}
    unused = [
        key
        for key in TEXTS
        if f'"{key}"' not in source and key.rpartition(".")[0] not in composed and not key.startswith("advice.")
    ]
    assert unused == []


def test_the_page_is_whole() -> None:
    root = read_page(render(make_content()))
    ids = [each.attributes["id"] for each in root.walk() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    assert [part.attributes["id"] for part in root.find("section")] == PARTS
    assert [link.attributes["href"] for link in root.find("nav")[0].find("a")] == [f"#{part}" for part in PARTS]
    for each in root.walk():
        for name in ("aria-labelledby", "for"):
            for target in each.attributes.get(name, "").split():
                assert target in ids, f"{name} names {target}"
    for picture in root.find("svg"):
        assert picture.attributes["role"] == "img" and picture.attributes["aria-labelledby"]


def test_nothing_is_fetched_and_only_our_script_may_run() -> None:
    page = render(make_content())
    assert not re.search(r'(?:src|href)="(?!#|data:,)', page) and "url(" not in page and "@import" not in page
    root = read_page(page)
    (script,) = root.find("script")
    digest = base64.b64encode(hashlib.sha256(script.text().encode()).digest()).decode()
    (policy,) = (each.attributes["content"] for each in root.find("meta") if "http-equiv" in each.attributes)
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy


def test_every_label_follows_the_switch() -> None:
    """The switch hides one of two classes, so a text that is in neither must be data, the same for everybody."""
    root = read_page(render(make_content(advice=all_advice())))
    assert untranslated(root) == []
    english, chinese = ("".join(part.text(name) for part in root.find("main")) for name in ("en", "zh"))
    assert "Confusion matrix" in english and "混淆矩阵" not in english
    assert "混淆矩阵" in chinese and "Confusion matrix" not in chinese
    css = root.find("style")[0].text()
    assert "#language-en:checked ~ * .zh" in css and "#language-zh:checked ~ * .en" in css
    switches = root.find("input")
    assert [each.attributes["id"] for each in switches] == ["language-en", "language-zh"]
    assert all(switches[0].parent is each.parent for each in root.find("main")), "the rule reaches what follows it"


def test_an_untranslated_label_would_be_found() -> None:
    page = render(make_content()).replace("<h2>", "<h2>Only English ", 1)
    assert untranslated(read_page(page)) == ["Only English "]


def spoil(value: Any, name: str = "") -> Any:
    """Every free text of a content with EVIL behind it; names that the page looks up stay."""
    fixed = {"state", "by", "split", "fate", "kind", "objective", "data_kind", "best_metric", "rule", "metric"}
    if isinstance(value, dict):
        keep = ("config", "train", "validation", "probabilities", "labels", "label_shares", "domain", "quantiles")
        return {key: spoil(item, key) if name not in keep else item for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spoil(item, name) for item in value]
    is_name = name in fixed or (name == "name" and value in ("train", "validation", "en", "zh", "hidden"))
    return f"{value}{EVIL}" if isinstance(value, str) and not is_name and not re.match(r"\d*-", value) else value


def test_what_the_run_holds_cannot_break_the_page() -> None:
    clean = read_page(render(make_content()))
    evil = make_classes(("cat" + EVIL, "none"))
    content = make_content(**{key: spoil(copy.deepcopy(value), key) for key, value in make_content().items()})
    content["classes"] = spoil(evil)
    page = render(content)
    assert "<img src=x" not in page and page.count("<script") == 1
    root = read_page(page)
    assert [each.name for each in root.walk()].count("script") == 1 and not root.find("img")
    assert sum(EVIL in text for _, text in texts(root)) > 20, "it is shown, as text"
    assert not any(name.startswith("on") for each in root.walk() for name in each.attributes)
    assert {each.name for each in root.walk()} <= {each.name for each in clean.walk()} | {"small"}


def test_every_figure_stands_in_the_data() -> None:
    content = make_content(advice=all_advice())
    shown = shown_numbers(read_page(render(content)))
    written = written_numbers(json.loads(json.dumps(content)))
    assert len(shown) > 80
    assert shown - written == set()


@pytest.mark.parametrize(
    "path", [("metrics", 0, "value"), ("classes", "wrong_rows"), ("data", 0, "tokens"), ("run", "step")]
)
def test_a_figure_from_elsewhere_would_be_found(path: tuple[str | int, ...]) -> None:
    content, changed = make_content(), copy.deepcopy(make_content())
    inner: Any = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = 77777 if isinstance(inner[path[-1]], int) else 0.98765
    assert shown_numbers(read_page(render(changed))) - written_numbers(content)


def all_advice() -> list[dict[str, Any]]:
    """A piece for every rule that has a text, with its figures made up."""
    rules = sorted({key.split(".")[1] for key in TEXTS if key.startswith("advice.") and key.count(".") == 2})
    assert len(rules) > 12
    return [
        {
            "rule": rule,
            "values": {
                name: "zh" if name.endswith("_name") else "12" for name in fields(TEXTS[f"advice.{rule}.reason"][0])
            },
            "overrides": [],
            "command": None if rule == "language" else "groundup train runs/a-run/recipe.json seed=6",
        }
        for rule in rules
    ]


def test_every_piece_of_advice_can_be_said() -> None:
    root = read_page(render(make_content(advice=all_advice())))
    (advice,) = root.find("section", id="advice")
    assert len(advice.find("li")) == len(all_advice())
    assert len(advice.find("code")) == len(all_advice()) - 1


def test_a_run_that_has_not_begun_has_a_page() -> None:
    empty = {"step": [], "loss": [], "learning_rate": [], "tokens_per_second": [], "grad_norm": []}
    run = make_content()["run"] | {
        "state": "not_started",
        "step": 0,
        "model_step": None,
        "epochs": None,
        "total_steps": None,
    }
    curves = make_content()["curves"] | {"train": empty, "validation_steps": [], "validation": {}}
    nothing = dict.fromkeys(("baseline", "classes", "labels", "numbers", "choices", "masked", "writing", "found"))
    nothing |= dict.fromkeys(("batch", "design", "domain"))
    root = read_page(render(make_content(run=run, curves=curves, metrics=[], data=[], **nothing)))
    assert [part.attributes["id"] for part in root.find("section")] == [
        "results",
        "curves",
        "design",
        "data",
        "recipe",
        "machine",
    ]
    assert "not started" in root.find("header")[0].text("en") and untranslated(root) == []


def test_a_run_with_a_single_line_has_curves() -> None:
    train = {name: values[:1] for name, values in make_content()["curves"]["train"].items()}
    curves = make_content()["curves"] | {"train": train, "validation_steps": [], "validation": {}}
    root = read_page(render(make_content(curves=curves)))
    (chart,) = [each for each in root.find("figure", class_="chart") if each.find("figcaption", id="chart-loss-title")]
    assert chart.find("path", class_="dots"), "one point is no line"


def test_what_a_decoder_writes() -> None:
    """Where there is a right answer it is judged, and a wrong one stands beside it; elsewhere nothing is judged."""
    (judged,) = read_page(render(make_content())).find("section", id="written")
    assert [each.attributes["class"] for each in judged.find("li")] == ["example wrong", "example right"]
    assert "$30" in judged.text("en") and "Wrong (1 of 44)" in judged.text("en")
    (free,) = read_page(render(make_content(writing=make_writing(is_scored=False)))).find("section", id="written")
    assert [each.attributes["class"] for each in free.find("li")] == ["example", "example"]
    assert not free.find("span", class_="sign") and "$3" in free.text("en")


def test_an_interval_stays_in_its_card_whatever_the_unit() -> None:
    answered = measure(answer_tallies(["Leiden", "nowhere"], [["Leiden"], ["Delft"]], "squad1.1"))["f1"]
    tagged = measure(tag_tallies([["B-LOC"], ["B-LOC"]], [["B-LOC"], ["B-ORG"]], "iob2", unit="texts"))["f1"]
    assert (answered.value, tagged.value) == (50.0, 0.5)
    for metric in (answered, tagged):
        figure: Figure = metric.to_json()  # type: ignore[assignment]
        card = str(draw_card(figure | {"low": 0.0, "high": 2 * metric.value}, None))  # type: ignore[arg-type]
        assert "left:0.00%;right:0.00%" in card and "left:50.00%" in card


def test_what_is_found_in_texts() -> None:
    """What overlaps is marked together, a wrong text has what was expected below, faults are counted by how."""
    (part,) = read_page(render(make_content())).find("section", id="found")
    assert [each.attributes["class"] for each in part.find("li")] == ["example wrong", "example wrong", "example right"]
    first, question, nested = part.find("li")
    assert [each.text("en") for each in first.find("mark")] == ["Li LeiPER", "Li LeiPER", "北京LOC"]
    assert [each.text("en") for each in nested.find("mark")] == ["Li ", "LeiNAME · PER", "北京LOC"]
    assert "谁写了这本书？" in question.text("en") and [each.text("en") for each in question.find("mark")] == ["鲁迅"]
    text = part.text("en")
    assert "right type, another boundary" in text and "missed" not in text
    assert "类型对，边界错" in part.text("zh") and "Wrong (2 of 10)" in text
    faultless = make_content()["found"] | {"faults": {"missed": 0}}  # type: ignore[operator]
    assert "What is wrong, and how" in text
    assert "What is wrong, and how" not in read_page(render(make_content(found=faultless))).text("en")


def test_entities_are_counted_by_type_and_answers_by_question() -> None:
    def read_table(**found: object) -> list[list[str]]:
        content = make_content(found=make_content()["found"] | found)  # type: ignore[operator]
        (part,) = read_page(render(content)).find("section", id="found")
        return [[cell.text("en") for cell in row.find("th") + row.find("td")] for row in part.find("tr")]

    head, *rows = read_table()[:4]
    assert head == ["type", "in the data", "found", "F1", "Recall"]
    assert [row[:3] for row in rows] == [["PER", "12", "11"], ["LOC", "7", "0"], ["NAME", "0", "1"]]
    answers = [figure(name, 0.7) for name in ("f1[who]", "f1[words 2-3]")]
    head, *rows = read_table(parts=answers, expected={}, found={})[:3]
    assert head == ["part", "questions", "F1"]
    assert [row[:2] for row in rows] == [["who", "40"], ["words in the answer: 2–3", "40"]]
    (row,) = read_table(parts=[figure("f1[]", 0.7)], expected={"": 3}, found={})[1:2]
    assert row[:3] == ["no type", "3", "0"]

    splits = [split | {"counts_entities": True, "labels": {"PER": 5, "": 2}} for split in make_content()["data"]]
    (part,) = read_page(render(make_content(data=splits))).find("section", id="data")
    assert "Entities by type" in part.text("en") and "各类型的实体数" in part.text("zh")
    assert "no type" in part.text("en") and "无类型" in part.text("zh") and "标签" not in part.text("zh")
    assert "Labels" in read_page(render(make_content())).find("section", id="data")[0].text("en")


def test_what_is_cut_of_examples_is_lost_and_of_a_corpus_too_short() -> None:
    for kind, said, other in (
        ("tagged", "tokens lost by the cut", "too short to use"),
        ("corpus", "too short to use", "lost by the cut"),
    ):
        recipe = make_content()["recipe"] | {"data": {"kind": kind, "train": "train.jsonl"}}
        (part,) = read_page(render(make_content(recipe=recipe))).find("section", id="data")
        assert said in part.text("en") and other not in part.text("en"), kind


def test_labels_stand_with_their_thresholds_and_rows_with_those_given_and_true() -> None:
    (part,) = read_page(render(make_content())).find("section", id="labels")
    assert "Measured on 38 of 40 validation rows" in part.text("en")
    dog, cat = (row.text("en") for row in part.find("table")[0].find("tbody")[0].find("tr"))
    assert "0.275" in dog and "0.500" in cat and "[0.760, 0.860]" in dog
    wrong, right = part.find("li", class_="example")
    assert [each.text("en") for each in wrong.find("b") if each.text()] == ["dog · 猫", *["猫"] * 2]
    assert [each.attributes["class"] for each in wrong.find("li", class_="is-answer")] == [
        "is-answer",
        "is-answer is-true",
    ]
    assert [each.attributes["style"] for each in wrong.find("b") if not each.text()] == ["left:27.5%", "left:50.0%"]
    assert "无标签" in right.text("zh") and not right.find("li", class_="is-answer")


def test_predicted_numbers_stand_beside_the_true_ones() -> None:
    (part,) = read_page(render(make_content())).find("section", id="numbers")
    (dots,) = part.find("path", class_="cloud")
    places = [
        tuple(map(float, each.strip().removesuffix("h0").split(","))) for each in dots.attributes["d"].split("M")[1:]
    ]
    assert len(places) == 5 and [x + y > 1000 for x, y in places] == [False, False, True, True, False]
    assert places[4] == (500.0, 500.0), "on the line from corner to corner; below it, a prediction is too small"
    rows = [row.text("en") for row in part.find("tbody")[0].find("tr")]
    assert "true number1 – 22" in rows[0] and "0.840 [0.210, 1.430]−0.330" in rows[0]
    assert "predicted: 1.500true: 4.500line 3" in part.find("li", class_="example")[0].text("en")


def test_questions_stand_with_all_their_choices() -> None:
    (part,) = read_page(render(make_content())).find("section", id="choices")
    wrong, right = part.find("li", class_="example")
    assert [each.attributes.get("class") for each in wrong.find("ul")[0].find("li")] == ["is-answer", "is-true"]
    assert [each.attributes.get("class") for each in right.find("ul")[0].find("li")] == ["is-answer is-true", None]
    assert len(wrong.find("p", class_="text")) == 2 and len(right.find("p", class_="text")) == 1


def test_many_classes_are_shown_as_pairs() -> None:
    labels = tuple(f"class {number}" for number in range(40))
    root = read_page(render(make_content(classes=make_classes(labels))))
    assert not root.find("table", class_="confusion")
    assert "most frequent confusions" in root.find("section", id="classes")[0].text("en")


@pytest.mark.parametrize(
    ("places", "num_norms"),
    [
        ((), 0),
        (("embedding", "residual"), 3),
        (("input", "final"), 3),
        (("input", "output"), 4),
        (("input", "output", "residual", "embedding", "final"), 8),
    ],
)
def test_the_drawing_has_the_norms_of_the_design(places: tuple[str, ...], num_norms: int) -> None:
    """Two branches a block: a place in a branch stands twice."""
    root = read_page(render(make_content(design=make_design(norm_places=list(places)))))
    (drawing,) = (figure.find("svg")[0] for figure in root.find("figure", class_="diagram"))
    assert len(drawing.find("rect", class_="norm")) == num_norms
    assert len(drawing.find("circle", class_="sum")) == 2
    left, top, width, height = map(float, drawing.attributes["viewbox"].split())
    for rectangle in drawing.find("rect"):
        x, y, w, h = (float(rectangle.attributes[name]) for name in ("x", "y", "width", "height"))
        assert left <= x and x + w <= left + width and top <= y and y + h <= top + height


@pytest.mark.parametrize("kind", ["rotary", "sinusoidal", "none", "a kind added later"])
def test_a_kind_without_a_text_is_shown_by_its_name(kind: str) -> None:
    heads = [{"kind": "brand_new"}]
    root = read_page(render(make_content(design=make_design(position={"kind": kind}, heads=heads))))
    text = root.find("section", id="design")[0].text("en")
    assert "brand_new" in text and untranslated(root) == []
    assert kind in text or kind == "none"


def test_markup_escapes_all_but_html() -> None:
    assert join("<b>", Html("<i>"), None, ["&", Html("&amp;")]) == "&lt;b&gt;<i>&amp;&amp;"
    assert (
        tag("p", "a", class_="x y", data_n=1, hidden=True, open=False, id=None)
        == '<p class="x y" data-n="1" hidden>a</p>'
    )
    assert tag("input", type='"') == '<input type="&quot;">'
    assert data("<x>", "code") == '<code translate="no">&lt;x&gt;</code>'
    assert commas([]) == "–" and commas(["a", "b"]) == "a, b"
    assert say("run.of", done="{total}", total="<b>").count("{total} ") == 2, "a value is not read as a template"
    assert "&lt;b&gt;" in say("run.of", done="1", total="<b>")
    with pytest.raises(KeyError):
        say("no.such.text")
    assert say_name("norm", "nothing known") == data("nothing known")


def test_elements_are_what_a_reader_needs() -> None:
    """Headings of tables say what they head; the language of Chinese data is named, so that fonts fit."""
    root = read_page(render(make_content()))
    assert all(cell.attributes.get("scope") in ("row", "col", "rowgroup") for cell in root.find("th"))
    for table in root.find("table"):
        for row in table.find("tbody")[0].find("tr"):
            assert row.find("th"), "each row has a heading"
    texts_of_examples: list[Element] = root.find("p", class_="text")
    assert texts_of_examples and all(each.attributes["lang"] == "zh-CN" for each in texts_of_examples)
