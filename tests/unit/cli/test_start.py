"""What a command does not load."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from osloom.cli.start import import_without
sys.path.insert(0, {place!r})
import_without("taker", "taken")
import taker
print(taker.found, "taken" in sys.modules)
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("try:\n    import taken\n    found = 1\nexcept ImportError:\n    found = 2\n", "2 False"),
        ("import taken\nfound = 1\n", "1 True"),
    ],
)
def test_a_module_does_without_another_where_it_can(
    tmp_path_factory: pytest.TempPathFactory, text: str, found: str
) -> None:
    place = tmp_path_factory.mktemp("modules")
    (place / "taker.py").write_text(text)
    (place / "taken.py").write_text("")
    assert run(PROGRAM.format(place=str(place))) == found


def test_a_command_leaves_the_decoder_to_workers() -> None:
    program = (
        "import sys; sys.argv = ['osloom', 'schema']\n"
        "from osloom.cli.start import start\n"
        "start()\n"
        "print('_lzma' in sys.modules, 'typing_extensions' in sys.modules)"
    )
    assert run(program).splitlines()[-1] == "False False"


def test_no_module_loads_the_decoder_before_it_decodes() -> None:
    program = (
        "import importlib, pkgutil, sys\n"
        "from osloom.cli.start import import_without\n"
        "import_without('shutil', 'lzma')\n"
        "import osloom\n"
        "for one in pkgutil.walk_packages(osloom.__path__, 'osloom.'):\n"
        "    if not one.name.endswith('__main__'):\n"
        "        importlib.import_module(one.name)\n"
        "print('_lzma' in sys.modules)"
    )
    assert run(program) == "False"
