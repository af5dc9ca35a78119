"""A debug variant: tools beside the image's own files, and a program that stays."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from osloom.assemble import oci
from osloom.assemble.debug import _STAY, STAY, only_new
from osloom.base.errors import BuildError
from osloom.model.definition import Image, Oci
from osloom.model.tree import Node, Tree, TreeError, with_parents
from support.workbench import Workbench
from unit.assemble.test_oci import Layout


def file(workbench: Workbench, text: str) -> Node:
    data = text.encode()
    return Node("file", 0o755, size=len(data), digest=workbench.store.blobs.add(data), mtime=5)


def test_the_variant_has_the_layers_of_its_image_and_one_more(workbench: Workbench) -> None:
    app = with_parents({"usr/bin/app": file(workbench, "app")}, mtime=5)
    tools = with_parents(
        {f"usr/bin/{name}": file(workbench, name) for name in ("sh", "sleep")}, mtime=5
    )
    settings = Oci(compression="none", entrypoint=("/usr/bin/app", "-x"), command=("y",))
    request = workbench.request(Image(oci=settings), app, {"app": app})
    plain = layout(workbench, oci.plan(request))
    debug = layout(workbench, oci.plan(replace(request, debug=workbench.output(tools))))
    assert debug.manifest["layers"][:-1] == plain.manifest["layers"]
    assert debug.config["config"]["Entrypoint"] == [f"/{STAY}", "/usr/bin/app", "-x"]
    assert debug.config["config"]["Cmd"] == ["y"]
    assert plain.config["config"]["Entrypoint"] == ["/usr/bin/app", "-x"]


def test_tools_without_a_shell_cannot_keep_a_container(workbench: Workbench) -> None:
    app = with_parents({"usr/bin/app": file(workbench, "app")}, mtime=5)
    request = workbench.request(
        Image(oci=Oci(compression="none", entrypoint=("/usr/bin/app",))), app, {"app": app}
    )
    with pytest.raises(BuildError) as caught:
        layout(workbench, oci.plan(replace(request, debug=workbench.output(app))))
    assert caught.value.message == (
        "cannot make the debug variant: its tools have no `sh`, with which it stays"
    )


def test_a_name_that_a_container_would_take_for_a_whiteout_is_refused(workbench: Workbench) -> None:
    app = with_parents(
        {"usr/bin/app": file(workbench, "app"), "srv/.wh.a": file(workbench, "")}, mtime=5
    )
    request = workbench.request(Image(oci=Oci(compression="none")), app, {"app": app})
    with pytest.raises(TreeError, match=r"cannot put `/srv/\.wh\.a` into a layer"):
        layout(workbench, oci.plan(request))


def layout(workbench: Workbench, products: tuple[oci.Product, ...]) -> Layout:
    (digest,) = workbench.make(products)
    store = workbench.store
    files = store.load_tree(digest).items()
    return Layout({path: store.blobs.read(node.digest) for path, node in files if node.digest})


def test_tools_change_nothing_of_the_image(workbench: Workbench) -> None:
    own, other = file(workbench, "own"), file(workbench, "other")
    image = with_parents(
        {"usr/lib/libc.so": own, "lib": Node("symlink", 0o777, target="usr/lib")}, mtime=0
    )
    tools = Tree(
        {
            "lib": Node("symlink", 0o777, target="usr/lib"),
            "lib/libc.so": other,
            "usr/bin/a": other,
            "usr/bin/b": Node("hardlink", 0o755, target="usr/lib/libc.so"),
            "usr/bin/c": Node("hardlink", 0o755, target="usr/bin/a"),
            "usr/lib/libc.so": other,
        }
    )
    assert only_new(image, tools) == {
        "usr/bin/a": other,
        "usr/bin/b": other,
        "usr/bin/c": Node("hardlink", 0o755, target="usr/bin/a"),
    }


@pytest.fixture
def stay(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    script = tmp_path / "stay"
    script.write_text(_STAY)
    return lambda *words: subprocess.Popen(
        ["/bin/sh", script, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("words", "status"),
    [(("sh", "-c", "exit 1"), 1), (("/no/such/program",), 127), (("true",), 0)],
)
def test_it_stays_when_the_program_ends_however_that_was(
    stay: Callable[..., subprocess.Popen[bytes]], words: tuple[str, ...], status: int
) -> None:
    with stay(*words) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, b"")
        said = next(line for line in lines if line.startswith(b"debug:"))
        assert said == b"debug: the program ended with status %d; the container stays\n" % status
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == status


def test_a_signal_goes_to_the_program_and_its_status_is_the_container_s(
    stay: Callable[..., subprocess.Popen[bytes]],
) -> None:
    program = 'trap "echo bye; exit 7" TERM; echo ready; while :; do sleep 0.05; done'
    with stay("sh", "-c", program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == b"bye\n"
        assert process.wait(timeout=30) == 7


def test_the_program_has_the_standard_input(tmp_path: Path) -> None:
    script = tmp_path / "stay"
    script.write_text(_STAY)
    with subprocess.Popen(
        ["/bin/sh", script, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"hello\n")
        process.stdin.close()
        assert process.stdout.readline() == b"hello\n"
        process.terminate()
