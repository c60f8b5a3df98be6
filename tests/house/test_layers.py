"""The house stands: whoever imports, imports downwards, and nobody in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import groundup

SOURCE = Path(__file__).parents[2] / "src" / "groundup"

LEVELS = (
    ("errors", "figures", "randomness"),
    ("yaml_reader", "config_schema"),
    ("config_problems",),
    ("config",),
    ("language", "readers", "model", "optim", "reporting"),
    ("text", "metrics", "families", "transforms", "decoding", "spoken"),
    ("objectives", "checkpoint"),
    ("tasks", "training", "retrieval"),
    ("recipe",),
    ("verbs", "trust", "serve", "integrations"),
    ("tour",),
    ("cli",),
    ("", "__main__"),
)
"""Rooms from the ground up; the package itself, which hands out the verbs, stands above all."""


def find_imports(root: Path) -> dict[str, set[str]]:
    """For every module its imports of other modules of the package: at the top, in functions and for type checkers."""
    names = {_module_name(path, root): path for path in sorted(root.rglob("*.py"))}
    package = root.name
    return {name: set(_imports_of(path, name, package, names)) - {name} for name, path in names.items()}


def _module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports_of(path: Path, name: str, package: str, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == package or alias.name.startswith(f"{package}."):
                    yield alias.name[len(package) + 1 :]
        elif isinstance(node, ast.ImportFrom):
            yield from _from_targets(node, path, name, package, known)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{package}."):
            # importlib.import_module("groundup.x.y") is an import too.
            target = node.value[len(package) + 1 :]
            if target in known:
                yield target


def _from_targets(
    node: ast.ImportFrom, path: Path, name: str, package: str, known: Mapping[str, Path]
) -> Iterator[str]:
    if node.level:
        here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        base = [part for part in here[: len(here) - node.level + 1] if part]
        target = ".".join(base + (node.module.split(".") if node.module else []))
    elif node.module is not None and (node.module == package or node.module.startswith(f"{package}.")):
        target = node.module[len(package) + 1 :]
    else:
        return
    for alias in node.names:
        inner = f"{target}.{alias.name}" if target else alias.name
        yield inner if inner in known else target


def find_faults(imports: Mapping[str, set[str]], levels: tuple[tuple[str, ...], ...] = LEVELS) -> list[str]:
    """Unknown rooms, arrows upwards, arrows between rooms of one level, and circles of modules."""
    level_of = {room: level for level, rooms in enumerate(levels) for room in rooms}
    faults: list[str] = []
    for module, targets in sorted(imports.items()):
        room = module.split(".")[0]
        if room not in level_of:
            faults.append(f"{module}: the room {room!r} has no level")
            continue
        for target in sorted(targets):
            other = target.split(".")[0]
            if other == room or other not in level_of:
                continue
            if level_of[other] > level_of[room]:
                faults.append(f"{module} imports upwards: {target}")
            elif level_of[other] == level_of[room]:
                faults.append(f"{module} imports its sibling: {target}")
    return faults + [f"circle: {' -> '.join(circle)}" for circle in find_circles(imports)]


def find_circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Every circle that a walk over the imports meets, the one that closes it named twice."""
    circles: list[list[str]] = []
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> None:
        if module in trail:
            circles.append([*trail[trail.index(module) :], module])
            return
        if module in done:
            return
        for target in sorted(imports.get(module, ())):
            visit(target, [*trail, module])
        done.add(module)

    for module in sorted(imports):
        visit(module, [])
    return circles


def test_layers_point_down() -> None:
    imports = find_imports(SOURCE)
    assert len(imports) > 15
    assert find_faults(imports) == []


def _build(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / "groundup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        (path.parent / "__init__.py").touch()
    (root / "groundup" / "__init__.py").touch()
    return root / "groundup"


def test_every_kind_of_import_is_seen(tmp_path: Path) -> None:
    root = _build(
        tmp_path,
        {
            "model/a.py": "import groundup.training.step\n",
            "model/b.py": "from groundup.training import step\n",
            "model/c.py": "def f():\n    from groundup.training.step import g\n",
            "model/d.py": "import typing\nif typing.TYPE_CHECKING:\n    from groundup.training.step import g\n",
            "model/e.py": "from ..training import step\n",
            "model/f.py": "import importlib\nimportlib.import_module('groundup.training.step')\n",
            "model/g.py": "from groundup import training\n",
            "training/step.py": "g = 1\n",
        },
    )
    faults = find_faults(find_imports(root))
    assert [fault.split(" ")[0] for fault in faults] == [f"model.{letter}" for letter in "abcdefg"]
    assert all("upwards" in fault for fault in faults)


def test_siblings_circles_and_strangers_are_faults(tmp_path: Path) -> None:
    root = _build(
        tmp_path,
        {
            "model/a.py": "from groundup.optim import x\nfrom groundup.model import b\n",
            "model/b.py": "from groundup.model.a import y\n",
            "optim/x.py": "from groundup.errors import E\n",
            "errors.py": "import os\n",
            "attic/z.py": "",
        },
    )
    faults = find_faults(find_imports(root))
    assert "model.a imports its sibling: optim.x" in faults
    assert "circle: model.a -> model.b -> model.a" in faults
    assert "attic.z: the room 'attic' has no level" in faults
    assert not any(fault.startswith("optim.x") for fault in faults)


def test_a_sound_tree_has_no_faults(tmp_path: Path) -> None:
    files = {
        "training/step.py": "from groundup.model import a\n",
        "model/a.py": "import groundup.errors\n",
        "errors.py": "",
    }
    assert find_faults(find_imports(_build(tmp_path, files))) == []


def test_no_room_hides_a_verb() -> None:
    """Importing a room sets its name on the package, where a verb of the same name would be lost."""
    rooms = {module.split(".")[0] for module in find_imports(SOURCE)}
    assert not rooms & set(groundup.__all__)


def test_verbs_stay_what_they_are_after_each_other() -> None:
    for _ in range(2):
        for name in groundup.__all__:
            assert callable(getattr(groundup, name)), name
