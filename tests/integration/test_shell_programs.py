"""What shellcheck says of the shell programs that osloom puts into images."""

from pathlib import Path

import osloom.assemble.appliance
import osloom.compose.appliance
from support.programs import Programs


def test_the_programs_of_an_appliance_have_no_mistake_that_shellcheck_knows(
    tmp_path: Path, store: Path
) -> None:
    programs = Programs(tmp_path, store, "shellcheck")
    packages = (osloom.assemble.appliance, osloom.compose.appliance)
    files = [
        path
        for package in packages
        for path in (Path(package.__path__[0]) / "data").rglob("*")
        if path.is_file()
    ]
    assert len(files) > len(packages)
    for path in sorted(files):
        # os-release(5) is read where the program runs.
        programs("usr/bin/shellcheck", "--shell=sh", "--exclude=SC1091", path)
