"""The store keeps what it was given, whatever happens to the processes that use it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from osloom.base.digest import Digest, digest_bytes, digest_json, digest_part
from osloom.base.errors import StoreError
from osloom.base.files import remove_tree
from osloom.model.tree import Node, Tree
from osloom.store import collect
from osloom.store.results import boot_id
from osloom.store.store import Store


def file_node(store: Store, text: str, mode: int = 0o644) -> Node:
    data = text.encode()
    digest = store.blobs.add(data, executable=bool(mode & 0o111))
    return Node("file", mode, size=len(data), digest=digest)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_blob_is_read_back_by_its_digest(store: Store) -> None:
    digest = store.blobs.add(b"hello")
    assert digest == digest_bytes(b"hello")
    assert store.blobs.read(digest) == b"hello"


def test_a_tree_is_read_back_by_its_digest(store: Store) -> None:
    tree = Tree({"bin": Node("dir", 0o755), "bin/sh": file_node(store, "x", 0o755)})
    assert store.load_tree(store.add_tree(tree)) == tree


def test_what_a_killed_process_was_writing_is_no_blob_and_goes(store: Store) -> None:
    digest = store.blobs.add(b"whole", executable=True)
    half = store.blobs.path(digest).with_name("0" * 62 + ".0123456789abcdef-7")
    half.write_bytes(b"ha")
    assert collect.verify(store) == []
    assert collect.usage(store).blobs == 1
    collect.prune(store, days=1)
    assert not half.exists()


def test_threads_add_blobs_at_once(store: Store) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = list(pool.map(lambda number: store.blobs.add(b"%d" % number), range(2000)))
    assert [store.blobs.read(digest) for digest in found] == [b"%d" % n for n in range(2000)]


def test_a_blob_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match=r"cannot find sha256:0{64} in the store"):
        store.blobs.read(Digest("sha256:" + "0" * 64))


def test_writing_that_is_interrupted_leaves_nothing(store: Store) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.blobs.add_chunks(chunks())
    assert list(store.temporary.iterdir()) == []
    assert store.blobs.find(digest_bytes(b"half")) is None


def test_a_result_whose_blobs_are_gone_is_a_miss(store: Store) -> None:
    key = digest_json("key")
    digest = store.blobs.add(b"made")
    store.results.save(key, {"file": digest})
    assert store.results.find(key) is not None
    store.blobs.path(digest).unlink()
    assert store.results.find(key) is None


def test_a_result_from_before_a_power_cut_is_checked(store: Store) -> None:
    key = digest_json("key")
    digest = store.blobs.add(b"made")
    store.results.save(key, {"file": digest})
    place = next((store.root / "results").glob("??/*"))
    place.write_text(place.read_text().replace('"boot":"', '"boot":"another'))
    assert store.results.find(key) is not None
    place.write_text(place.read_text().replace('"boot":"', '"boot":"another'))
    store.blobs.path(digest).write_bytes(b"")
    assert store.results.find(key) is None


def test_a_result_that_is_cut_off_is_a_miss(store: Store) -> None:
    key = digest_json("key")
    store.results.save(key, {"file": store.blobs.add(b"made")})
    place = next((store.root / "results").glob("??/*"))
    place.write_bytes(place.read_bytes()[:10])
    assert store.results.find(key) is None


def test_a_checkout_has_the_modes_and_links_of_its_tree(store: Store) -> None:
    tree = Tree(
        {
            "bin": Node("dir", 0o755),
            "bin/sh": file_node(store, "same", 0o755),
            "bin/again": Node("hardlink", 0o755, target="bin/sh"),
            "etc": Node("dir", 0o755),
            "etc/link": Node("symlink", 0o777, target="../bin/sh"),
            "etc/text": file_node(store, "same"),
        }
    )
    os.umask(0o077)
    root = store.checkout(store.add_tree(tree))
    os.umask(0o022)
    assert (root / "bin/sh").stat().st_mode & 0o7777 == 0o755
    assert (root / "etc/text").stat().st_mode & 0o7777 == 0o644
    assert (root / "etc/link").read_text() == "same"
    assert (root / "bin/again").samefile(root / "bin/sh")


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("")
    with pytest.raises(StoreError, match="cannot use the store at"):
        Store(place / "store")


def test_pruning_keeps_what_results_name_and_removes_the_rest(store: Store) -> None:
    kept = store.add_tree(Tree({"a": file_node(store, "kept")}))
    store.results.save(digest_json("kept"), {"tree": kept})
    store.blobs.add(b"loose")
    pruned = collect.prune(store, days=1)
    assert (pruned.results, pruned.blobs) == (0, 1)
    assert store.blobs.read(store.load_tree(kept)["a"].digest or Digest("")) == b"kept"
    assert collect.prune(store, days=0).blobs == 2


def test_pruning_waits_for_no_one(store: Store) -> None:
    other = Store(store.root)
    with pytest.raises(StoreError, match="another osloom is using it"):
        collect.prune(store, days=0)
    other.close()
    collect.prune(store, days=0)


def test_verifying_removes_what_is_damaged_and_names_it(store: Store) -> None:
    digest = store.blobs.add(b"whole")
    store.blobs.path(digest).write_bytes(b"rotten")
    assert collect.verify(store) == [digest]
    assert store.blobs.find(digest) is None


def test_a_part_is_read_where_it_is_and_is_a_file_when_one_is_wanted(store: Store) -> None:
    archive = store.blobs.add(b"(one)(second)")
    one, second = digest_part(archive, 1, 3), digest_part(archive, 6, 6)
    assert store.blobs.read(one) == b"one"
    assert list(store.blobs.chunks(second, 4)) == [b"seco", b"nd"]
    assert store.blobs.size(second) == 6
    assert len(list((store.root / "blobs").rglob("*+*"))) == 0
    tree = store.add_tree(Tree({"a": Node("file", 0o755, size=3, digest=one)}))
    root = store.checkout(tree)
    assert (root / "a").read_bytes() == b"one"
    assert (root / "a").stat().st_mode & 0o777 == 0o755
    assert store.blobs.path(second).read_bytes() == b"second"
    assert len(list((store.root / "blobs").rglob("*+*"))) == 2
    store.results.save(digest_json("kept"), {"tree": tree})
    # Of no tree, and then only of a tree whose root is gone.
    for count in (1, 1, 0):
        assert collect.prune(store, days=1).blobs == count
        assert store.blobs.read(one) == b"one"
        remove_tree(root)


def test_a_part_is_gone_with_its_whole(store: Store) -> None:
    archive = store.blobs.add(b"(one)")
    beyond = digest_part(archive, 4, 2)
    assert store.blobs.size(beyond) is None
    for digest in (beyond, digest_part(digest_bytes(b"gone"), 0, 1)):
        with pytest.raises(StoreError, match="cannot find"):
            store.blobs.read(digest)
        with pytest.raises(StoreError, match="cannot find"):
            store.blobs.path(digest)
    tree = Tree({"a": Node("file", 0o644, size=2, digest=beyond)})
    key = digest_json("of another boot")
    store.results.save(key, {"tree": store.add_tree(tree)})
    place = next((store.root / "results").glob("??/*"))
    place.write_bytes(place.read_bytes().replace(boot_id().encode(), b"another"))
    assert store.results.find(key) is None


def test_verifying_compares_parts_with_their_whole(store: Store) -> None:
    archive = store.blobs.add(b"(one)(second)")
    one, second = digest_part(archive, 1, 3), digest_part(archive, 6, 6)
    for part in (one, second):
        store.blobs.path(part)
    store.blobs.path(one).write_bytes(b"own")
    assert collect.verify(store) == [one]
    assert store.blobs.read(one) == b"one"
    store.blobs.path(archive).unlink()
    assert collect.verify(store) == [second]


def test_a_killed_process_holds_no_lock_and_leaves_no_half_blob(store: Store) -> None:
    program = (
        "import sys, time; from pathlib import Path; from osloom.store.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "with store.locked('key'), store.blobs.writer() as writer:\n"
        "    writer.write(b'half'); print('in', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(store.root)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"in\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    start = time.monotonic()
    with store.locked("key"):
        assert time.monotonic() - start < 5
    assert store.blobs.find(digest_bytes(b"half")) is None
    collect.prune(store, days=0)
    assert list(store.temporary.iterdir()) == []


def test_the_nix_of_a_store_goes_when_it_was_not_used(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    path = store.nix / "nix/store/0-app"
    path.mkdir(parents=True)
    (path / "file").write_bytes(bytes(5000))
    path.chmod(0o555)
    assert collect.usage(store).nix_bytes >= 5000
    collect.prune(store, days=1)
    assert (path / "file").exists()
    os.utime(store.nix, (0, 0))
    assert collect.prune(store, days=1).freed >= 5000
    assert not store.nix.exists()
    assert collect.usage(store).nix_bytes == 0
    store.close()
