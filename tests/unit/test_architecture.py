"""Imports point down the layers of ARCHITECTURE.md."""

import ast
from pathlib import Path

import osloom

ROOT = Path(osloom.__file__).parent

LAYERS = (
    ("base",),
    ("model",),
    ("definition", "store", "keys"),
    ("fetch",),
    ("engine",),
    ("sources",),
    ("compose", "assemble"),
    ("release", "run"),
    ("api",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("osloom."):
            found.add((node.module or "").split(".")[1])
    return found


def test_imports_point_down_the_layers() -> None:
    wrong = []
    for path in ROOT.rglob("*.py"):
        own = path.relative_to(ROOT).parts[0]
        if own not in LEVEL:
            continue
        wrong += [
            f"{path.relative_to(ROOT)} imports {other}"
            for other in imports(path)
            if LEVEL[other] > LEVEL[own] or (LEVEL[other] == LEVEL[own] and other != own)
        ]
    assert wrong == []


def test_every_package_is_in_a_layer() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == set(LEVEL)


def test_no_module_is_longer_than_it_may_be() -> None:
    long = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in ROOT.rglob("*.py")
        if len(path.read_text().splitlines()) > 450
    }
    assert long == {}
