"""Fill the tables of recipe keys in docs/*/recipes.md from the settings' own docstrings.

    python docs/generate.py

Tables stand between the markers `<!-- keys NAME ... | the four headings -->` and `<!-- /keys -->`, where the names are
those of a recipe's sections. Everything around them is written by hand; what is between them is overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from groundup.config import Config, FieldHelp, field_help
from groundup.config_schema import alternatives, is_list, item_type, kinds
from groundup.recipe import FreshModel, Recipe

MARKED: Final = re.compile(r"(<!-- keys ([\w ]+?) \|([^\n]+?) -->\n).*?(^<!-- /keys -->)", re.DOTALL | re.MULTILINE)
NOT_OF_A_RECIPE: Final = {(FreshModel, "heads"), (FreshModel, "padding_id")}
"""Keys of a design that a recipe refuses, because its objective and its tokenizer decide them."""


def fill(text: str) -> str:
    """A page with its tables as the code has them now. ValueError where a section of the recipe has no table."""
    named = sorted(name for match in MARKED.finditer(text) for name in match[2].split())
    if named != sorted(Recipe.model_fields):
        raise ValueError(f"the page needs one table for each of {', '.join(Recipe.model_fields)}, got {named}")
    return MARKED.sub(lambda match: f"{match[1]}\n{_write_tables(match[2].split(), match[3])}\n\n{match[4]}", text)


def _write_tables(names: list[str], headings: str) -> str:
    titles = [heading.strip() for heading in headings.split("|")]
    plain = [name for name in names if not kinds(Recipe.model_fields[name].annotation)]
    helps = [each for each in field_help(Recipe) if _first(each.path) in plain and each.type != "keys"]
    parts = [_write_table(helps, Recipe, "", titles)] if helps else []
    for name in names:
        for kind, cls in kinds(Recipe.model_fields[name].annotation).items():
            parts.append(f"**`{name}.kind: {kind}`** · {_describe(cls)}")
            helps = [each for each in field_help(cls) if (cls, _first(each.path)) not in NOT_OF_A_RECIPE]
            if len(helps) > 1:
                parts.append(_write_table(helps, cls, f"{name}.", titles))
    return "\n\n".join(parts)


def _write_table(helps: list[FieldHelp], cls: type[Config], prefix: str, titles: list[str]) -> str:
    """The kind of `cls` itself stands in the line above, those inside it with their parent."""
    rows = [_write_row(each, cls, prefix) for each in helps if not re.search(r"(^|\.)kind$", each.path)]
    return "\n".join([_row(titles), _row(["---"] * len(titles)), *rows])


def _write_row(each: FieldHelp, cls: type[Config], prefix: str) -> str:
    of_kind = re.findall(r"\[(\w+)\]", each.path)
    bare = re.sub(r"\[\w+\]", "", each.path)
    key = f"`{prefix}{bare}`" + (f" (`{of_kind[-1]}`)" if of_kind else "")
    default = each.default if each.default == "required" else f"`{each.default}`"
    words = re.sub(r"\{kind: (\w+)\}", r"`\1`", each.type)
    return _row([key, words, default, "<br>".join([each.doc, *_list_kinds(cls, each)])])


def _list_kinds(cls: type[Config], each: FieldHelp) -> Iterator[str]:
    """A line for every kind that a key may be of."""
    annotation: object = cls
    for name, kind in re.findall(r"(\w+)(?:\[(\w+)\])?", each.path):
        members = alternatives(annotation)
        if name.isdigit():
            annotation = next(item_type(member) for member in members if is_list(member))
        else:
            fields = next(member.model_fields for member in members if name in getattr(member, "model_fields", {}))
            annotation = fields[name].annotation
        annotation = kinds(annotation)[kind] if kind else annotation
    for members in (annotation, *map(item_type, alternatives(annotation))):
        for kind, member in kinds(members).items():
            yield f"`{kind}`: {_describe(member)}"


def _first(path: str) -> str:
    return re.split(r"[.\[]", path)[0]


def _describe(cls: type[Config]) -> str:
    return " ".join((cls.__doc__ or "").split())


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Rewrite the pages of both languages."""
    for page in sorted(Path(__file__).parent.glob("*/recipes.md")):
        page.write_text(fill(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"written: {page}")


if __name__ == "__main__":
    main()
