"""A disk that is full costs nothing but the step that was running."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import sys
from pathlib import Path
from osloom.base.errors import StoreError
from osloom.engine import identity, mounts
place = Path(sys.argv[1])
identity.enter(identity.find_identity())
identity.unshare(identity.CLONE_NEWNS)
mounts.make_private()
mounts.mount("tmpfs", place, "tmpfs", options="size=2m,mode=0755")
from osloom.store.store import Store
store = Store(place / "store")
kept = store.blobs.add(b"small")
large = [bytes(65536)] * 1000
for add in (store.blobs.add_chunks, lambda chunks: store.blobs.add(b"".join(chunks))):
    try:
        add(large)
    except StoreError as error:
        print(error.message.replace(str(place), ""), "|", error.hint)
files = [path for path in (store.root / "blobs").glob("*/*")]
print(list(store.temporary.iterdir()), len(files), store.blobs.read(kept))
"""


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing_half_written(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if "cannot make a namespace" in done.stderr:
        pytest.skip("this host has no user namespaces")
    assert done.stdout.splitlines() == [
        (
            "cannot write to the store at /store: No space left on device | "
            "free some space, or run `osloom cache prune`; the next run continues"
        ),
    ] * 2 + ["[] 1 b'small'"]
