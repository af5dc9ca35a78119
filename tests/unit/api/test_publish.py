"""What is in the output directory: whole, not twice, and apart from the store where it is edited."""

from pathlib import Path

import pytest

from osloom.api.publish import Publisher
from osloom.assemble.request import Product
from osloom.base.digest import Digest, to_hex
from osloom.base.errors import Error
from osloom.engine.step import Output, Step
from osloom.model.tree import Node, Tree
from osloom.store.results import Result
from osloom.store.store import Store
from support.workbench import given


def layout(store: Store, index: bytes, *blobs: bytes) -> Digest:
    nodes = {}
    for data in (index, *blobs):
        digest = store.blobs.add(data)
        name = "index.json" if data is index else f"blobs/sha256/{to_hex(digest)}"
        nodes[name] = Node("file", 0o644, size=len(data), digest=digest)
    directories = {"blobs": Node("dir", 0o755), "blobs/sha256": Node("dir", 0o755)}
    return store.add_tree(Tree(nodes | directories))


def publish(store: Store, directory: Path, images: dict[str, Digest]) -> None:
    publisher = Publisher(store, directory)
    for image, digest in images.items():
        output = Output(Step(action=given, title="given"), "tree")
        product = Product(path=f"{image}.oci", output=output, kind="directory")
        publisher.publish(image, "oci", product, Result(outputs={"tree": digest}, seconds=0))
    publisher.finish()


def test_a_layer_that_images_share_is_on_the_disk_once(tmp_path: Path) -> None:
    store, dist = Store(tmp_path / "store"), tmp_path / "dist"
    layer = store.blobs.add(b"layer")
    images = {name: layout(store, name.encode(), b"layer") for name in ("one", "two")}
    publish(store, dist, images)
    places = [dist / name / f"{name}.oci/blobs/sha256" / to_hex(layer) for name in images]
    assert [place.read_bytes() for place in places] == [b"layer", b"layer"]
    assert len({place.stat().st_ino for place in (*places, store.blobs.path(layer))}) == 1
    # Again, with nothing remembered.
    (dist / ".osloom.json").unlink()
    publish(store, dist, images)
    assert sorted(path.name for path in places[0].parent.iterdir()) == [to_hex(layer)]


def test_an_index_can_be_edited_without_harm_to_the_store(tmp_path: Path) -> None:
    store, dist = Store(tmp_path / "store"), tmp_path / "dist"
    images = {"one": layout(store, b"index", b"layer")}
    publish(store, dist, images)
    index = dist / "one/one.oci/index.json"
    with index.open("r+b") as file:
        file.write(b"other")
    assert store.load_tree(images["one"])["index.json"].digest == store.blobs.add(b"index")
    assert store.blobs.read(store.blobs.add(b"index")) == b"index"
    publish(store, dist, images)
    assert index.read_bytes() == b"index"


def test_on_another_file_system_it_is_a_copy(tmp_path: Path) -> None:
    store, dist = Store(tmp_path / "store"), Path("/dev/shm") / tmp_path.name
    layer = store.blobs.add(b"layer")
    try:
        publish(store, dist, {"one": layout(store, b"index", b"layer")})
        place = dist / "one/one.oci/blobs/sha256" / to_hex(layer)
        assert place.read_bytes() == b"layer"
        assert [path.name for path in place.parent.iterdir()] == [to_hex(layer)]
    finally:
        import shutil

        shutil.rmtree(dist, ignore_errors=True)


@pytest.mark.parametrize("name", ["dist", "dist/one", "dist/one/one.oci", "dist/one/one.oci/blobs"])
def test_a_file_where_a_directory_has_to_be_is_named(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "store")
    blocking = tmp_path / name
    blocking.parent.mkdir(parents=True, exist_ok=True)
    blocking.write_text("mine")
    with pytest.raises(Error) as caught:
        publish(store, tmp_path / "dist", {"one": layout(store, b"index", b"layer")})
    assert caught.value.message == (
        f"cannot write {tmp_path}/dist/one/one.oci: {blocking} is not a directory"
    )
    assert caught.value.hint == "move it away, or name a directory with `--output`"
    assert blocking.read_text() == "mine"


def test_where_nobody_may_write_another_place_is_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    images = {"one": layout(store, b"index")}
    with pytest.raises(Error) as caught:
        publish(store, Path("/proc/none"), images)
    assert caught.value.hint == "choose another place with `--output`"
