"""Fill in what the pages take from the code: tables of recipe keys, families, and pieces of the code itself.

    python docs/generate.py

What stands between these markers is overwritten; everything around them is written by hand:
`<!-- keys NAME ... | four headings -->` and `<!-- /keys -->`: the keys of a recipe's sections, by their own docstrings.
`<!-- families | four headings -->` and `<!-- /families -->`: every published family with the lines of its file.
`<!-- code FILE NAME -->` and `<!-- /code -->`: a function of a file, or all of the file where no name is given.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from groundup.config import Config, FieldHelp, field_help
from groundup.config_schema import alternatives, is_list, item_type, kinds
from groundup.families.family import Family
from groundup.families.registry import FAMILIES
from groundup.recipe import FreshModel, Recipe

CODE: Final = re.compile(r"(<!-- code (\S+) ?(\w*) -->\n).*?(^<!-- /code -->)", re.DOTALL | re.MULTILINE)
FAMILY_TABLE: Final = re.compile(r"(<!-- families \|([^\n]+?) -->\n).*?(^<!-- /families -->)", re.DOTALL | re.MULTILINE)
ROOT: Final = Path(__file__).parents[1]
HOME: Final = ROOT / "src" / "groundup" / "families"
MARKED: Final = re.compile(r"(<!-- keys ([\w ]+?) \|([^\n]+?) -->\n).*?(^<!-- /keys -->)", re.DOTALL | re.MULTILINE)
NOT_OF_A_RECIPE: Final = {(FreshModel, "heads"), (FreshModel, "padding_id")}
"""Keys of a design that a recipe refuses, because its objective and its tokenizer decide them."""


def fill(text: str) -> str:
    """A page with its tables as the code has them now. ValueError where a section of the recipe has no table."""
    named = sorted(name for match in MARKED.finditer(text) for name in match[2].split())
    if named != sorted(Recipe.model_fields):
        raise ValueError(f"the page needs one table for each of {', '.join(Recipe.model_fields)}, got {named}")
    return MARKED.sub(lambda match: f"{match[1]}\n{_write_tables(match[2].split(), match[3])}\n\n{match[4]}", text)


def fill_code(text: str) -> str:
    """A page with its pieces of code and its table of families as they are now."""
    text = CODE.sub(lambda match: f"{match[1]}```python\n{_read_code(ROOT / match[2], match[3])}```\n{match[4]}", text)
    return FAMILY_TABLE.sub(lambda match: f"{match[1]}\n{_write_families(match[2])}\n\n{match[3]}", text)


def _read_code(path: Path, name: str) -> str:
    source = path.read_text(encoding="utf-8")
    if not name:
        return source
    functions = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    if name not in functions:
        raise ValueError(f"{path}: has no function {name}, got {', '.join(functions)}")
    node = functions[name]
    return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno]) + "\n"


def _write_families(headings: str) -> str:
    """A row for each file: the families that it brings, its lines, and the files that it shares with others."""
    titles = [heading.strip() for heading in headings.split("|")]
    found: dict[Path, list[str]] = {}
    for family in FAMILIES[:-1]:  # the last one is our own
        found.setdefault(_find_home(family), []).append(f"`{family.model_type}`")
    rows = []
    for path, names in found.items():
        shared = ", ".join(f"[{each.name}]({_link(each)}) ({_count(each)})" for each in _find_shared(path))
        rows.append(_row([", ".join(names), f"[{path.name}]({_link(path)})", str(_count(path)), shared or "–"]))
    return "\n".join([_row(titles), _row(["---", "---", "---:", "---"]), *rows])


def _count(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def _find_home(family: Family) -> Path:
    """The file of `families/` in which a family is made."""
    for module in sorted(HOME.glob("*.py")):
        if module.name == "registry.py":
            continue
        values = vars(importlib.import_module(f"groundup.families.{module.stem}"))
        names = [name for name, value in values.items() if value is family]
        if any(re.search(rf"^{name}\b.* = ", module.read_text(encoding="utf-8"), re.MULTILINE) for name in names):
            return module
    raise ValueError(f"{family.model_type}: is made in no file of {HOME}")


def _find_shared(path: Path) -> list[Path]:
    """The files of `families/` that a family's file stands on, those aside that every family needs."""
    found: dict[Path, None] = {}
    ahead = [path]
    while ahead:
        source = ahead.pop().read_text(encoding="utf-8")
        names = set(re.findall(r"from groundup\.families\.(\w+) import", source)) - {"family", "keymap", "values"}
        new = [HOME / f"{name}.py" for name in sorted(names) if HOME / f"{name}.py" not in found]
        found |= dict.fromkeys(new)
        ahead += new
    return sorted(found)


def _link(path: Path) -> str:
    return f"../../{path.relative_to(ROOT)}"


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
    for name, fill_page in (("recipes.md", fill), ("design-your-own-model.md", fill_code)):
        for page in sorted(Path(__file__).parent.glob(f"*/{name}")):
            page.write_text(fill_page(page.read_text(encoding="utf-8")), encoding="utf-8")
            print(f"written: {page}")


if __name__ == "__main__":
    main()
