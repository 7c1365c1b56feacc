"""The arrows between the packages, as their imports have them: all one way, and no circle.

The sources are read and not imported, so that an import counts wherever it stands: in a function,
for types only, or of a framework that is not installed.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (ROOT / "streamkit", ROOT / "adapters" / "streamkit_adapters")

WORDS = frozenset(
    {
        "admission",
        "arguments",
        "collectors",
        "consumer",
        "errors",
        "event",
        "feed",
        "fork",
        "kind",
        "label",
        "loop",
        "lost",
        "meters",
        "metrics",
        "neutral",
        "once",
        "open_file",
        "recycling",
        "request",
        "resource",
        "log",
        "signals",
        "source",
        "tracing",
        "updates",
        "wake",
    }
)
"""The modules in front that everyone uses."""

BELOW: dict[str, frozenset[str]] = {}
"""The rooms that each may import from, beside itself."""

BELOW["words"] = frozenset()
BELOW["rows"] = frozenset({"words"})
BELOW["encoders"] = BELOW["rows"] | {"rows"}
BELOW["plan"] = BELOW["encoders"] | {"encoders"}
BELOW["stream"] = BELOW["http"] = BELOW["plan"] | {"plan"}
BELOW["channels"] = BELOW["plan"]
BELOW["zipping"] = BELOW["plan"] | {"http"}
BELOW["reply"] = BELOW["stream"] | {"stream", "http"}
BELOW["response"] = BELOW["reply"] | {"reply"}
BELOW["resumable"] = BELOW["channels"] | {"channels", "stream"}
BELOW["service"] = BELOW["response"] | {"response", "resumable", "channels"}
BELOW["streamkit"] = BELOW["service"] | {"service", "zipping"}
BELOW["__main__"] = BELOW["streamkit"] | {"streamkit"}
BELOW["adapting"] = BELOW["service"] | {"service"}
BELOW["testing"] = BELOW["adapting"] | {"adapting", "streamkit"}
BELOW["adapters"] = frozenset({"adapting"})

PLAIN_ADAPTERS = frozenset({"asgi", "wsgi"})
"""What the adapters of frameworks build on."""

BUILT_ON = {"fastapi": "starlette"}
"""A framework that is made of another, and its adapter of that one's."""

KEPT_IN_REDIS = ("streamkit.channels.redis", "streamkit.resumable.redis")

FRAMEWORKS = {
    "django": "django",
    "fastapi": "fastapi",
    "flask": "flask",
    "rest_framework": "django",
    "starlette": "starlette",
}
"""Packages, and the adapter that each may be imported in."""


@dataclass(frozen=True)
class Import:
    file: str
    line: int
    importer: str
    imported: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.imported}"


def module_name(file: Path, root: Path) -> str:
    """``root`` is the folder of the package that ``file`` is in."""
    parts = file.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """The line and the full name of all that a module of ``package`` imports, module or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            start = parents[: len(parents) + 1 - node.level] if node.level else []
            module = ".".join([*start, *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, module if alias.name == "*" else f"{module}.{alias.name}"


def read(*roots: Path) -> tuple[frozenset[str], list[Import]]:
    """All modules of these packages, and all of their imports.

    What is imported from one of the modules counts as an import of that module.
    """
    files = {module_name(file, root): file for root in roots for file in root.rglob("*.py")}
    imports = []
    for importer, file in files.items():
        package = importer if file.name == "__init__.py" else importer.rpartition(".")[0]
        for line, name in imported_by(ast.parse(file.read_text()), package):
            parent = name.rpartition(".")[0]
            imported = parent if parent in files and name not in files else name
            where = file.relative_to(roots[0].parent).as_posix()
            imports.append(Import(where, line, importer, imported))
    # One for all that a statement imports of a module.
    return frozenset(files), list(dict.fromkeys(imports))


MODULES, IMPORTS = read(*SOURCES)


def room(module: str) -> str:
    """The room that a module is in; a top-level name of somebody else's is itself."""
    package, _, rest = module.partition(".")
    if package == "streamkit_adapters":
        return "adapters"
    if package != "streamkit" or not rest:
        return package
    name = rest.partition(".")[0]
    return "words" if name in WORDS else name


def adapter(module: str) -> str:
    return module.removeprefix("streamkit_adapters").strip(".").partition(".")[0]


def is_ours(module: str) -> bool:
    return module.partition(".")[0] in {source.name for source in SOURCES}


def test_every_module_is_in_a_room() -> None:
    assert MODULES
    strangers = {module for module in MODULES if room(module) not in BELOW}
    assert not strangers, f"neither a word nor in a room: {', '.join(sorted(strangers))}"


@pytest.mark.parametrize("name", BELOW)
def test_no_arrow_runs_back_up(name: str) -> None:
    against = [
        f"{each}: no arrow leads from {name} to {room(each.imported)}"
        for each in IMPORTS
        if room(each.importer) == name
        and is_ours(each.imported)
        and room(each.imported) not in BELOW[name] | {name}
    ]
    assert not against, "\n".join(["", *against])


def test_adapters_build_on_the_plain_ones_and_on_nothing_else_of_each_other() -> None:
    against = [
        f"{each}: no arrow leads from {adapter(each.importer)} to {adapter(each.imported)}"
        for each in IMPORTS
        if room(each.importer) == room(each.imported) == "adapters"
        and adapter(each.imported)
        not in {adapter(each.importer), BUILT_ON.get(adapter(each.importer))}
        and (
            adapter(each.imported) not in PLAIN_ADAPTERS or adapter(each.importer) in PLAIN_ADAPTERS
        )
    ]
    assert not against, "\n".join(["", *against])


def test_a_framework_is_imported_in_its_own_adapter_only() -> None:
    against = [
        f"{each}: {framework} is for streamkit_adapters.{FRAMEWORKS[framework]}"
        for each in IMPORTS
        if (framework := each.imported.partition(".")[0]) in FRAMEWORKS
        and not (
            room(each.importer) == "adapters"
            and FRAMEWORKS[framework]
            in {adapter(each.importer), BUILT_ON.get(adapter(each.importer))}
        )
    ]
    assert not against, "\n".join(["", *against])


def test_redis_is_imported_where_something_is_kept_in_it_only() -> None:
    against = [
        str(each)
        for each in IMPORTS
        if each.imported.partition(".")[0] == "redis"
        and not each.importer.startswith(KEPT_IN_REDIS)
    ]
    assert not against, "\n".join(["", *against])


def circles(imports: list[Import]) -> Iterator[list[Import]]:
    """For each import that its importer can be reached from again, the shortest way around."""
    ways: dict[str, list[Import]] = {}
    for each in imports:
        ways.setdefault(each.importer, []).append(each)
    told: set[frozenset[str]] = set()
    for first in imports:
        paths, reached = [[first]], {first.imported}
        while paths:
            path = paths.pop(0)
            if path[-1].imported == first.importer:
                members = frozenset(each.importer for each in path)
                if members not in told:
                    told.add(members)
                    yield path
                break
            for step in ways.get(path[-1].imported, ()):
                if step.imported not in reached:
                    reached.add(step.imported)
                    paths.append([*path, step])


def test_no_import_leads_around_in_a_circle() -> None:
    against = [" -> ".join(map(str, circle)) for circle in circles(IMPORTS)]
    assert not against, "\n".join(["", *against])


class TestReading:
    """What the tests above rely on."""

    @pytest.fixture
    def package(self, tmp_path: Path) -> Path:
        package = tmp_path / "package"
        for name, text in {
            "__init__": "from package.a import A",
            "a": "import typing\nif typing.TYPE_CHECKING:\n    from package.room import b",
            "c": "import package.room.b as b\nfrom .room.d import *",
            "room/__init__": "from . import b",
            "room/b": "def late():\n    from ..c import something, more",
            "room/d": "from package import room",
        }.items():
            file = package / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return package

    def test_imports_are_found_wherever_they_stand(self, package: Path) -> None:
        modules, imports = read(package)
        assert modules == {
            *("package", "package.a", "package.c"),
            *("package.room", "package.room.b", "package.room.d"),
        }
        assert {(each.importer, each.line, each.imported) for each in imports} == {
            ("package", 1, "package.a"),
            ("package.a", 1, "typing"),
            ("package.a", 3, "package.room.b"),
            ("package.c", 1, "package.room.b"),
            ("package.c", 2, "package.room.d"),
            ("package.room", 1, "package.room.b"),
            ("package.room.b", 2, "package.c"),
            ("package.room.d", 1, "package.room"),
        }
        assert "package/room/b.py:2 imports package.c" in map(str, imports)

    def test_circles_are_found_once_each(self, package: Path) -> None:
        _, imports = read(package)
        found = [[each.importer for each in circle] for circle in circles(imports)]
        assert found
        assert sorted(map(sorted, found)) == [
            ["package.c", "package.room", "package.room.b", "package.room.d"],
            ["package.c", "package.room.b"],
        ]
