"""What an entrypoint of shell text would run in vain."""

import pytest

from osloom.compose.application.shell_programs import missing_programs
from osloom.model.tree import Node

SCRIPTS = {
    "usr/bin/plain": "#!/bin/sh\nset -e\ndirname $0 | sed s/a/b/\n[ -e /srv/none ] && date\necho\n",
    "usr/bin/whole": "#!/bin/sh\nmake() { there; }\nmake; exec there -x",
    "usr/bin/sourcing": "#!/usr/bin/env bash\n. /usr/lib/its\nits_function; basename x; /usr/bin/gone",
    "usr/bin/broken": "#!/bin/sh\nif",
    "usr/bin/python": "#!/usr/bin/python3\nls",
}
NODES = {
    "usr/bin/there": Node("file", 0o755, size=9 << 20),
    "usr/bin/sh": Node("file", 0o755),
    "bin": Node("symlink", 0o777, target="usr/bin"),
    **{path: Node("file", 0o755, size=len(text)) for path, text in SCRIPTS.items()},
}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("/bin/sh", "-c", "mkdir -p /run/x; exec there"), "`mkdir`, not in the image: add `coreutils`"),
        (("sh", "-ec", "exec env A=1 nohup there"), "`env`, `nohup`, not in the image: add `coreutils`"),
        (("/bin/sh", "-c", "its; mkdir x"), "`its`, `mkdir`, not in the image: add `coreutils`, what has the others"),
        (("/bin/sh", "-c", "/bin/mkdir x"), "`/bin/mkdir`, not in the image: add `coreutils`"),
        (("/bin/sh", "-c", "its"), "`its`, not in the image: add what has them"),
        (("/bin/plain",), "`dirname`, `sed`, not in the image: add `coreutils`, `sed`"),
        (("plain", "start"), "`dirname`, `sed`, not in the image: add `coreutils`, `sed`"),
        (("sourcing",), "`basename`, `/usr/bin/gone`, not in the image: add `coreutils`, what has the others"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named_with_its_package(words: tuple[str, ...], said: str) -> None:
    assert missing_programs(words, NODES, SCRIPTS.__getitem__) == (
        f"the entrypoint is shell text that may run {said}",
    )


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("whole",),
        ("there", "-c", "mkdir"),
        ("/usr/bin/gone",),
        ("broken",),
        ("python",),
        ("/bin/sh",),
        ("/bin/sh", "-c", 'cd /; exec "$@"', "sh", "there"),
        ("/bin/sh", "-c", "$PROGRAM"),
    ],
)
def test_what_misses_nothing_is_not_spoken_of(words: tuple[str, ...]) -> None:
    assert missing_programs(words, NODES, SCRIPTS.__getitem__) == ()
