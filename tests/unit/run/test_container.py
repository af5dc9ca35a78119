"""What the command line says of a container."""

import socket
from pathlib import Path

import pytest

from osloom.base.errors import UsageError
from osloom.model.tree import Node, with_parents
from osloom.run.bundle import Mount
from osloom.run.container import Container, Wishes, check_program, parse_volume, shell_words
from osloom.run.machine import Forward
from osloom.run.network import is_free, names, parse_forward
from osloom.run.settings import Settings
from osloom.store.store import Store


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("8080", Forward(host=8080, guest=8080)),
        ("8080:80", Forward(host=8080, guest=80)),
        ("0.0.0.0:8080:80", Forward(host=8080, guest=80, address="0.0.0.0")),
    ],
)
def test_a_port_is_one_of_the_loopback_unless_an_address_is_named(
    text: str, forward: Forward
) -> None:
    assert parse_forward(text) == forward


@pytest.mark.parametrize("text", ["", "http", "80:", "0", "70000:80", "a:80:80", "80:80/udp"])
def test_what_is_no_port_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_forward(text)
    assert caught.value.message == f"cannot read the port `{text}`"
    assert caught.value.hint == "write it as 8080:80"


def test_ports_that_only_root_has_are_not_free_for_pasta() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert not is_free(Forward(host=port, guest=80))
    assert is_free(Forward(host=port, guest=80))
    assert not is_free(Forward(host=1, guest=80))


def test_a_volume_starts_where_the_caller_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = str(tmp_path)
    assert parse_volume(".:/srv") == Mount(source=source, destination="/srv")
    assert parse_volume(".:/srv:ro") == Mount(source=source, destination="/srv", read_only=True)


@pytest.mark.parametrize("text", ["", "/srv", ".:srv", ".:/srv:rx", ":/srv"])
def test_what_is_no_volume_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="cannot read the volume"):
        parse_volume(text)


def test_a_volume_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        parse_volume(f"{tmp_path}/data:/srv")
    assert caught.value.message == f"cannot mount {tmp_path}/data: there is nothing"


def container(store: Store, *programs: str) -> Container:
    nodes = {path: Node("file", 0o755, digest=store.blobs.add(b"")) for path in programs}
    nodes["etc/passwd"] = Node("file", 0o644, digest=store.blobs.add(b""))
    tree = store.add_tree(with_parents(nodes, mtime=0))
    settings = Settings(env=("PATH=/opt/bin:/usr/bin",), working_dir="/srv")
    return Container(name="app", tree=tree, programs=tree, settings=settings)


def test_without_a_shell_the_text_is_a_program_and_its_arguments(tmp_path: Path) -> None:
    store = Store(tmp_path)
    own = container(store, "opt/bin/app", "srv/bin/tool")
    assert shell_words(store, own, "app 'two words'") == ["app", "two words"]
    assert shell_words(store, own, "/opt/bin/app") == ["/opt/bin/app"]
    assert shell_words(store, own, "bin/tool") == ["bin/tool"]
    text = "test -e /x && echo 'it'"
    shell = container(store, "bin/sh")
    assert shell_words(store, shell, text) == ["/bin/sh", "-e", "-c", text]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("test -e /x", "test"),
        ("./app", "./app"),
        ("/etc/passwd", "/etc/passwd"),
        ("app it's", "app it's"),
        (" ", " "),
    ],
)
def test_what_only_a_shell_could_run_is_refused_without_one(
    tmp_path: Path, text: str, what: str
) -> None:
    store = Store(tmp_path)
    with pytest.raises(UsageError) as caught:
        shell_words(store, container(store, "opt/bin/app"), text)
    assert caught.value.message == (
        f"cannot run `{what}`: the image has no shell, and no such program"
    )


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("ap",), "ap", "did you mean `app`?"),
        (("--version",), "--version", "it has no entrypoint: name a program, as `app`"),
        (("/usr/bin/app",), "/usr/bin/app", "did you mean `app`?"),
    ],
)
def test_a_program_that_the_image_does_not_have(
    tmp_path: Path, words: tuple[str, ...], said: str, hint: str
) -> None:
    store = Store(tmp_path)
    own = container(store, "opt/bin/app", "srv/bin/tool")
    with pytest.raises(UsageError) as caught:
        check_program(store, own, Wishes(words=words))
    assert caught.value.message == f"cannot run `{said}`: the image has no such program"
    assert (caught.value.hint, caught.value.exit_code) == (hint, 127)


def test_a_program_that_the_image_or_this_host_has(tmp_path: Path) -> None:
    store = Store(tmp_path)
    own = container(store, "opt/bin/app", "srv/bin/tool")
    for words in (("app", "-x"), ("bin/tool",), ("/opt/bin/app",)):
        check_program(store, own, Wishes(words=words))
    mounted = Mount(source="/x", destination="/x")
    check_program(store, own, Wishes(words=("/x/y",), mounts=(mounted,)))
    check_program(store, own, Wishes(words=("tool",), environment={"PATH": "/srv/bin"}))


def test_a_network_without_a_way_out_has_no_name_server() -> None:
    assert names("none", "api").resolver == ""
    assert "127.0.0.1 localhost api\n" in names("none", "api").hosts
