"""What the example's outputs hold, read by programs that are not osloom."""

import io
import json
import tarfile
from pathlib import Path

import zstandard

from integration.conftest import Workshop


def layout(directory: Path) -> tuple[dict[str, object], dict[str, object]]:
    """Manifest and configuration of an OCI layout."""

    def blob(digest: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(
            (directory / "blobs" / digest.replace(":", "/")).read_text()
        )
        return found

    index = json.loads((directory / "index.json").read_text())
    manifest = blob(index["manifests"][0]["digest"])
    config = manifest["config"]
    assert isinstance(config, dict)
    return manifest, blob(config["digest"])


def test_a_second_build_makes_nothing(example: Workshop) -> None:
    made = example("build", "--json").check().json
    assert [(one["format"], one["reused"]) for one in made] == [
        ("oci", True),
        ("nspawn", True),
        ("disk", True),
    ]


def test_every_blob_of_the_layout_is_what_its_name_says(example: Workshop) -> None:
    import hashlib

    blobs = list((example.directory / "dist/app/app.oci/blobs/sha256").iterdir())
    assert blobs
    assert all(hashlib.sha256(one.read_bytes()).hexdigest() == one.name for one in blobs)


def test_the_layers_applied_in_order_are_the_image(example: Workshop) -> None:
    directory = example.directory / "dist/app/app.oci"
    manifest, config = layout(directory)
    layers = manifest["layers"]
    assert isinstance(layers, list)
    paths: dict[str, str] = {}
    for layer in layers:
        data = (directory / "blobs" / layer["digest"].replace(":", "/")).read_bytes()
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            paths.update((member.name, member.linkname) for member in archive)
    assert paths["usr/bin/python3"] == "python3.13"
    assert "app/main.py" in paths
    assert "var/lib/dpkg/status" not in paths
    assert config["config"] == {
        "Entrypoint": ["/usr/bin/python3", "/app/main.py"],
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Labels": {
            "org.opencontainers.image.description": config["config"]["Labels"][
                "org.opencontainers.image.description"
            ],
            "org.opencontainers.image.title": "app",
            "org.opencontainers.image.version": "1",
        },
        "User": "65532:65532",
    }


def nspawn(example: Workshop) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    path = example.directory / "dist/machine/machine.nspawn.tar.gz"
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            small = content is not None and member.size < 1 << 20
            found[member.name] = (member, content.read() if content and small else b"")
    return found


def test_the_machine_has_a_real_os_release_no_identity_and_no_password(
    example: Workshop,
) -> None:
    found = nspawn(example)
    release, text = found["etc/os-release"]
    assert release.isfile()
    assert b"ID=debian" in text
    assert found["etc/machine-id"][1] == b"uninitialized\n"
    for file in ("etc/passwd", "etc/shadow"):
        fields = [line.split(":") for line in found[file][1].decode().splitlines()]
        # `x` refers to shadow, where no password is `*` or `!`: never an empty one, never a hash.
        assert {row[1].strip("!*") for row in fields} <= {"", "x"}
        assert "" not in {row[1] for row in fields}
    assert "usr/sbin/init" in found
    assert not [path for path in found if path.startswith("etc/ssh/ssh_host")]
    assert "etc/systemd/system/getty.target.wants/getty@tty1.service" in found


def test_every_package_is_installed(example: Workshop) -> None:
    status = nspawn(example)["var/lib/dpkg/status"][1].decode()
    states = {line for line in status.splitlines() if line.startswith("Status:")}
    assert states == {"Status: install ok installed"}


def test_the_disk_is_sparse_and_has_an_esp_and_a_root(example: Workshop) -> None:
    path = example.directory / "dist/server/server.raw"
    assert path.stat().st_blocks * 512 < path.stat().st_size
    with path.open("rb") as file:
        file.seek(512)
        assert file.read(8) == b"EFI PART"
        file.seek(1024)
        types = [file.read(128)[:16].hex() for _ in range(2)]
    assert types == ["28732ac11ff8d211ba4b00a0c93ec93b", "e3bc684fcde8b14d96e7fbcaf984b709"]


def test_the_kernel_that_was_foretold_is_the_one_that_came(example: Workshop) -> None:
    """Else a disk is right all the same, but its UKI is made twice, and late."""
    from osloom.api.plan import plan
    from osloom.api.project import open_project
    from osloom.api.session import Session
    from osloom.base.progress import silent
    from osloom.engine.step import Output
    from osloom.store.store import Store

    project = open_project(example.directory / "osloom.toml")
    store = Store(example.store)
    try:
        with Session(project, project.lock(), store, silent) as session:
            planned = plan(session, {"server": project.image("server")})
            uki = planned.outputs[0].product.output.step.inputs["uki"]
            assert isinstance(uki, Output)
            (foretold,) = uki.step.ahead
            real, told = session.make([uki, foretold])
    finally:
        store.close()
    assert real == told


def test_why_inspect_and_json_agree(example: Workshop) -> None:
    (reason,) = example("why", "libexpat1", "app", "--json").check().json
    assert reason["chain"][0] == "python3-minimal"
    inspected = example("inspect", "app", "--json").check().json
    assert "libexpat1" in [one["name"] for one in inspected["packages"]]
    assert inspected["layers"][-1]["title"] == "files of the definition"


def test_one_changed_file_rewrites_one_layer(example: Workshop) -> None:
    before = example("inspect", "app", "--json").check().json["layers"]
    definition = example.directory / "osloom.toml"
    text = definition.read_text()
    try:
        definition.write_text(text.replace("hello from osloom", "hello again"))
        example("build", "app").check()
        after = example("inspect", "app", "--json").check().json["layers"]
    finally:
        definition.write_text(text)
    changed = [
        new["title"]
        for old, new in zip(before, after, strict=True)
        if old["digest"] != new["digest"]
    ]
    assert changed == ["files of the definition"]
