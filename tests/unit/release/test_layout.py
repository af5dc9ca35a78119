"""Layouts on disk, whole and damaged, and the archives made of them."""

import io
import json
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import zstandard

from osloom.base.digest import Digest, digest_bytes, to_hex
from osloom.base.errors import Error
from osloom.fetch.registry.descriptor import OCI_INDEX, OCI_MANIFEST
from osloom.release.archive import Named, docker_archive, oci_archive
from osloom.release.layout import for_platform, load_layout

LAYER = b"layer" * 1000
TAG = "org.opencontainers.image.ref.name"


def gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


def zstd(data: bytes) -> bytes:
    half = len(data) // 2
    compress = zstandard.ZstdCompressor().compress
    return compress(data[:half]) + compress(data[half:])


class Maker:
    """Writes a layout blob by blob."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "blobs/sha256").mkdir(parents=True)

    def add(self, data: bytes, media_type: str) -> dict[str, Any]:
        digest = digest_bytes(data)
        self.path(digest).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def path(self, digest: str) -> Path:
        return self.directory / "blobs/sha256" / to_hex(Digest(digest))

    def image(self, architecture: str = "amd64", *, compression: str = "") -> dict[str, Any]:
        pack = {"": bytes, "+gzip": gzip, "+zstd": zstd}[compression]
        layer = self.add(pack(LAYER), f"application/vnd.oci.image.layer.v1.tar{compression}")
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest_bytes(LAYER), digest_bytes(LAYER)]},
        }
        encoded = json.dumps(config).encode()
        manifest = {
            "schemaVersion": 2,
            "config": self.add(encoded, "application/vnd.oci.image.config.v1+json"),
            "layers": [layer, layer],
        }
        made = self.add(json.dumps(manifest).encode(), OCI_MANIFEST)
        return {**made, "platform": {"os": "linux", "architecture": architecture}}

    def index(self, *entries: dict[str, Any], tag: str | None = None) -> Path:
        named = [{**one, "annotations": {TAG: tag}} if tag else one for one in entries]
        index = {"schemaVersion": 2, "manifests": named}
        (self.directory / "index.json").write_text(json.dumps(index))
        (self.directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return self.directory


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "layout")


def test_a_plain_image_is_its_manifest(maker: Maker) -> None:
    entry = maker.image()
    layout = load_layout(maker.index(entry, tag="7"))
    assert layout.tag == "7"
    assert [one.digest for one in layout.content.manifests] == [entry["digest"]]
    # The same layer twice is one blob.
    assert len(layout.content.blobs) == 2


def test_an_index_comes_after_what_it_names(maker: Maker) -> None:
    amd64, arm64 = maker.image("amd64"), maker.image("arm64")
    inner = maker.add(
        json.dumps({"schemaVersion": 2, "manifests": [amd64, arm64]}).encode(), OCI_INDEX
    )
    content = load_layout(maker.index(inner)).content
    assert [one.digest for one in content.manifests] == [
        amd64["digest"],
        arm64["digest"],
        inner["digest"],
    ]
    chosen = for_platform(content, "arm64")
    assert chosen is not None
    assert chosen.digest == arm64["digest"]
    assert for_platform(content, "riscv64") is None


def test_several_manifests_are_one_image(maker: Maker) -> None:
    layout = load_layout(maker.index(maker.image("amd64"), maker.image("arm64"), tag="7"))
    assert layout.tag == "7"
    assert layout.content.root.is_index
    assert layout.content.root.data == (maker.directory / "index.json").read_bytes()


def test_two_tags_are_two_images(maker: Maker) -> None:
    first = {**maker.image("amd64"), "annotations": {TAG: "1"}}
    second = {**maker.image("arm64"), "annotations": {TAG: "2"}}
    with pytest.raises(Error, match="it holds 2 images"):
        load_layout(maker.index(first, second))


def test_an_index_that_names_itself_ends(maker: Maker) -> None:
    # It cannot, by its digest; but many that name one another can be made.
    entry = maker.image()
    for _ in range(6):
        index = {"schemaVersion": 2, "manifests": [entry]}
        entry = maker.add(json.dumps(index).encode(), OCI_INDEX)
    with pytest.raises(Error, match="indexes name indexes without end"):
        load_layout(maker.index(entry))


def test_what_is_damaged_is_named(maker: Maker) -> None:
    entry = maker.image()
    directory = maker.index(entry)
    layer = load_layout(directory).content.blobs[1]
    maker.path(layer.digest).write_bytes(b"short")
    with pytest.raises(Error, match=f"{layer.digest} is not whole"):
        load_layout(directory)
    manifest = maker.path(entry["digest"])
    manifest.write_bytes(manifest.read_bytes().replace(b"2", b"3", 1))
    with pytest.raises(Error, match=f"{entry['digest']} is not whole"):
        load_layout(directory)
    manifest.unlink()
    with pytest.raises(Error, match="cannot read the layout"):
        load_layout(directory)


@pytest.mark.parametrize("compression", ["", "+gzip", "+zstd"])
def test_a_docker_archive_has_plain_layers(maker: Maker, compression: str) -> None:
    layout = load_layout(maker.index(maker.image(compression=compression), tag="7"))
    data = b"".join(docker_archive([Named(layout=layout, names=("app:7",))], "amd64"))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        (entry,) = json.loads(archive.extractfile("manifest.json").read())  # type: ignore[union-attr]
        layer = archive.extractfile(entry["Layers"][0])
        assert layer is not None
        assert layer.read() == LAYER
        assert all(one.mtime == 0 and one.uid == 0 for one in archive.getmembers())
    assert len(names) == len(set(names)) == 3
    assert entry["RepoTags"] == ["app:7"]
    assert len(entry["Layers"]) == 2


def test_a_layer_that_is_not_what_it_should_be_is_not_loaded(maker: Maker) -> None:
    layout = load_layout(maker.index(maker.image(compression="+gzip")))
    layer = layout.content.blobs[1]
    maker.path(layer.digest).write_bytes(gzip(LAYER + b"x").ljust(layer.size, b"\0"))
    with pytest.raises(Error, match="its content is not sha256:"):
        list(docker_archive([Named(layout=layout, names=())], "amd64"))


def test_an_oci_archive_is_the_layout(maker: Maker) -> None:
    directory = maker.index(maker.image("amd64"), maker.image("arm64"), tag="7")
    data = b"".join(oci_archive(load_layout(directory)))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for path in directory.rglob("*"):
            if path.is_file() and path.name != "oci-layout":
                file = archive.extractfile(path.relative_to(directory).as_posix())
                assert file is not None
                assert file.read() == path.read_bytes()
