"""What osloom's compressors make: readable by others, and the same bytes everywhere."""

import gzip
import hashlib
import json
import lzma
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from integration.conftest import Workshop
from osloom.api.plan import plan
from osloom.api.project import open_project
from osloom.api.session import Session
from osloom.assemble.compression import command, compress, compress_each, frame_compressor
from osloom.base.errors import CommandError, StoreError
from osloom.base.progress import silent
from osloom.engine.encoder import load_encoder
from osloom.engine.step import Job, Output
from osloom.store.store import Store

# Longer than several of the pieces that each program gives to a thread.
DATA = b"".join(b"line %d of a file\n" % number for number in range(3_000_000))
READERS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.decompress,
    "xz": lzma.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
METHODS = ("gzip", "xz", "zstd")

_BOX = """
[project]
name = "boxes"

[image.box]
packages = ["busybox-static"]
configure = "none"
outputs = ["tar"]
"""
_OTHER = """
[image.box-{method}]
from = "box"
outputs = ["tar", "nspawn"]
tar.compression = "{method}"
nspawn.compression = "{method}"
"""
_LAYERS = """
[image.layers-{method}]
from = "box"
outputs = ["oci"]
oci.compression = "{method}"
"""


@pytest.fixture(scope="module")
def job(example: Workshop) -> Iterator[Job]:
    """A job that has the compressors of the example's lock."""
    project = open_project(example.directory / "osloom.toml")
    store = Store(example.store)
    with Session(project, project.lock(), store, silent) as session:
        (archive,) = plan(session, project.chosen(("machine",))).outputs
        tools = archive.product.output.step.inputs["tools"]
        assert isinstance(tools, Output)
        (digest,) = session.make([tools])
    # The store takes what is made by rename: the working directory is of its file system.
    with store.working_directory() as work:
        yield Job(store=store, parameters={}, inputs={"tools": digest}, work=work)
    store.close()


def made(job: Job, chunks: list[bytes], method: str, level: int | None = 1) -> bytes:
    return job.store.blobs.read(compress(job, chunks, method, level))


def pieces(size: int) -> list[bytes]:
    return [DATA[place : place + size] for place in range(0, len(DATA), size)]


@pytest.mark.parametrize("method", READERS)
def test_what_goes_in_comes_out(job: Job, method: str) -> None:
    assert READERS[method](made(job, pieces(1 << 20), method)) == DATA
    assert READERS[method](made(job, [], method, None)) == b""


@pytest.mark.parametrize("method", READERS)
def test_how_the_content_is_cut_does_not_show(job: Job, method: str) -> None:
    assert made(job, pieces(70_001), method) == made(job, [DATA], method)


@pytest.mark.parametrize("method", METHODS)
def test_the_number_of_processors_does_not_show(job: Job, method: str) -> None:
    processors = os.sched_getaffinity(0)
    results = []
    for count in (1, 2):
        os.sched_setaffinity(0, sorted(processors)[:count])
        try:
            results.append(made(job, [DATA], method))
        finally:
            os.sched_setaffinity(0, processors)
    assert results[0] == results[1]


@pytest.mark.parametrize("method", ["gzip", "zstd"])
def test_the_number_of_threads_does_not_show(job: Job, tmp_path: Path, method: str) -> None:
    results = []
    for threads in (2, 3, 16):
        path = tmp_path / str(threads)
        with path.open("wb") as file:
            words = command(method, 1, threads=threads)
            job.tools().filter(words, stdin=[DATA], stdout=file)
        results.append(path.read_bytes())
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("level", [1, 3, 19])
@pytest.mark.parametrize("size", [0, 1, 131_072, 131_073, 20_000_000])
def test_the_library_of_zstd_writes_what_its_program_writes(
    job: Job, tmp_path: Path, size: int, level: int
) -> None:
    data = DATA[: min(size, 3_000_000) if level == 19 else size]
    encoder = load_encoder(job.tools().root)
    assert encoder is not None
    for threads in (2, 5):
        path = tmp_path / "packed"
        with path.open("wb") as file:
            words = command("zstd", level, threads=threads)
            job.tools().filter(words, stdin=[data], stdout=file)
        chunks = [data[place : place + 70_001] for place in range(0, len(data), 70_001)]
        assert b"".join(encoder.compress(chunks, level, threads=threads)) == path.read_bytes()


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Takes the library away when it is called; somebody has to have asked for it then."""
    asked = []
    yield lambda: monkeypatch.setattr("osloom.engine.encoder.load_encoder", asked.append)
    assert asked


def test_without_the_library_the_program_does_it(
    job: Job, without_library: Callable[[], None]
) -> None:
    with_library = made(job, [DATA], "zstd")
    without_library()
    assert made(job, [DATA], "zstd") == with_library


def test_frames_are_the_same_from_library_and_program(
    job: Job, without_library: Callable[[], None]
) -> None:
    random = os.urandom(300_000)
    contents = [b"", b"x", DATA[:4096], DATA[:524_288], DATA[:524_289], DATA[:3_000_001], random]
    with_library = list(compress_each(job, contents, 2, tools="tools"))
    without_library()
    assert list(compress_each(job, contents, 2, tools="tools")) == with_library
    assert [READERS["zstd"](frame) for frame in with_library] == contents
    assert list(job.work.iterdir()) == []


def test_frames_made_one_by_one_are_the_same(job: Job, without_library: Callable[[], None]) -> None:
    contents = [DATA[:131_072], b"x", DATA[131_072:262_144]]
    together = list(compress_each(job, contents, 3, tools="tools"))
    compress_one = frame_compressor(job, 3, tools="tools")
    assert [compress_one(content) for content in contents] == together
    without_library()
    by_program = frame_compressor(job, 3, tools="tools")
    assert [by_program(content) for content in contents] == together


def test_a_library_that_does_not_fit_is_not_taken(tmp_path: Path) -> None:
    assert load_encoder(tmp_path / "nothing") is None
    library = tmp_path / "other/usr/lib/x86_64-linux-gnu/libzstd.so.1"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"of another machine")
    assert load_encoder(tmp_path / "other") is None


def test_the_library_keeps_no_thread_of_what_fails(job: Job) -> None:
    encoder = load_encoder(job.tools().root)
    assert encoder is not None

    def broken() -> Iterator[bytes]:
        yield DATA
        raise ValueError("broken")

    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = threads()
    for _ in range(20):
        with pytest.raises(ValueError, match="broken"):
            list(encoder.compress(broken(), 3, threads=4))
    # One that was joined may take a moment until it is gone.
    for _ in range(100):
        if threads() > before:
            time.sleep(0.01)
    assert threads() == before


def test_gzip_names_no_file_and_no_time(job: Job) -> None:
    header = made(job, [b"x"], "gzip", None)[:10]
    assert header == b"\x1f\x8b\x08\0\0\0\0\0\0\x03"  # RFC 1952; 3 is Unix


def test_a_compressor_that_fails_says_why(job: Job, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file, pytest.raises(CommandError) as caught:
        job.tools().filter(["xz", "--decompress"], stdin=[b"not xz"], stdout=file)
    assert str(caught.value) == "`xz` of the tools image exited with status 1"
    assert "File format not recognized" in caught.value.detail


@pytest.mark.parametrize(("method", "suffix"), [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")])
def test_a_full_store_is_named_as_such(
    job: Job, monkeypatch: pytest.MonkeyPatch, method: str, suffix: str
) -> None:
    monkeypatch.setattr("osloom.engine.encoder.load_encoder", lambda _: None)
    target = job.work / f"compressed.{suffix}"
    target.symlink_to("/dev/full")
    try:
        with pytest.raises(StoreError) as caught:
            made(job, [DATA], method)
    finally:
        target.unlink()
    assert str(caught.value).endswith(": No space left on device")
    assert caught.value.hint is not None


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """The directory of outputs of one small image, compressed in every way."""
    workshop = Workshop(tmp_path_factory.mktemp("boxes"), store)
    text = _BOX + "".join(_OTHER.format(method=method) for method in METHODS)
    text += "".join(_LAYERS.format(method=method) for method in ("none", "gzip", "zstd"))
    (workshop.directory / "osloom.toml").write_text(text)
    workshop("lock").check()
    workshop("build").check()
    return workshop.directory / "dist"


@pytest.mark.parametrize(("method", "suffix"), [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")])
def test_archives_are_the_plain_one_compressed(boxes: Path, method: str, suffix: str) -> None:
    plain = (boxes / "box/box.tar").read_bytes()
    name = f"box-{method}"
    for kind in ("tar", "nspawn.tar"):
        assert READERS[method]((boxes / name / f"{name}.{kind}.{suffix}").read_bytes()) == plain


@pytest.mark.parametrize(("method", "suffix"), [("none", ""), ("gzip", "+gzip"), ("zstd", "+zstd")])
def test_layers_are_what_their_descriptors_and_diff_ids_say(
    boxes: Path, method: str, suffix: str
) -> None:
    layout = boxes / f"layers-{method}" / f"layers-{method}.oci"

    def blob(digest: str) -> bytes:
        return (layout / "blobs" / digest.replace(":", "/")).read_bytes()

    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]))
    config = json.loads(blob(manifest["config"]["digest"]))
    assert {one["mediaType"] for one in manifest["layers"]} == {
        f"application/vnd.oci.image.layer.v1.tar{suffix}"
    }
    plain = [READERS[method](blob(one["digest"])) for one in manifest["layers"]]
    assert config["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(one).hexdigest()}" for one in plain
    ]
