"""Definitions that can be read and cannot be meant: what does not go together, or is not there."""

from pathlib import Path

import pytest

from osloom.definition.load import parse
from support.mistakes import mistakes

WRONG = {
    "architectures beside a disk": (
        '[image.a]\noutputs = ["oci", "disk"]\narchitectures = ["amd64", "arm64"]\n',
        (
            "3:1 `disk` is for one architecture | "
            "make an image of its own for each, with `architecture`"
        ),
    ),
    "one architecture and several": (
        '[image.a]\narchitecture = "arm64"\narchitectures = ["amd64"]\n',
        "3:1 the image has both `architecture` and `architectures` | keep one of them",
    ),
    "a service of a system": (
        '[image.a]\nservice = "nginx"\noutputs = ["nspawn"]\n',
        "2:1 `service` is for a container of an application | leave `nspawn` out of `outputs`",
    ),
    "documentation that dpkg keeps": (
        '[image.a]\nkeep = ["doc"]\nconfigure = "dpkg"\n',
        '2:1 `keep` is for a container of an application | leave `configure = "dpkg"` out',
    ),
    "a debug variant of nothing": (
        '[image.api]\n[image.b]\ndebug-of = "apy"\n',
        "3:1 cannot find the image `apy` | did you mean `api`?",
    ),
    "a debug variant that is there": (
        "[image.a]\n[image.a.oci]\ndebug = true\n[image.a-debug]\n",
        (
            "3:1 there is an image `a-debug` already | "
            'leave `debug` out, and give that image `debug-of = "a"`'
        ),
    ),
    "script with blank text": (
        '[image.a]\n[[image.a.script]]\nrun = " "\n',
        "3:1 the script is empty | say what to run",
    ),
    "test with blank text": (
        '[image.a]\ntest = [{ run = "true" }, { run = "" }]\n',
        "2:29 the test is empty | say what to run",
    ),
    "test of two things": (
        '[image.a]\n[[image.a.test]]\nrun = "true"\nhttp = "http://localhost/"\n',
        "4:1 the test has `run` and `http` | make two tests of it",
    ),
    "test of nothing": (
        "[image.a]\n[[image.a.test]]\ntimeout = 3\n",
        ("2:11 the test checks nothing | give one of `run`, `http`, `file` and `arguments`"),
    ),
    "test over HTTP of a disk": (
        '[image.a]\noutputs = ["disk"]\n[[image.a.test]]\nhttp = "http://localhost/"\n',
        (
            "4:1 the test would never run: `http` is for the output `oci`"
            " | test it with `run`, or make the output"
        ),
    ),
    "test of a mode without a file": (
        '[image.a]\n[[image.a.test]]\nrun = "true"\nmode = "0644"\n',
        "4:1 `mode` says nothing without `file` | leave it out",
    ),
    "test of an absent file's content": (
        '[image.a]\n[[image.a.test]]\nfile = "/x"\nabsent = true\ncontains = "y"\n',
        "5:1 `contains` says nothing of an absent file | leave it out",
    ),
    "test with arguments for no program": (
        '[image.a]\n[[image.a.test]]\nrun = "true"\narguments = ["x"]\n',
        (
            "4:1 `arguments` says nothing with `run`: the container's program does not start"
            " | leave it out"
        ),
    ),
    "test that never runs": (
        '[image.a]\noutputs = ["oci"]\n[[image.a.test]]\nrun = "true"\noutputs = ["disk"]\n',
        "5:1 the test would never run: `a` makes oci | name one of these, or leave `outputs` out",
    ),
    "output twice": (
        '[image.a]\noutputs = ["oci", "oci"]\n',
        "2:19 `oci` is there twice | keep one",
    ),
    "file without content": (
        '[image.a.files]\n"/x" = { mode = "0644" }\n',
        (
            "2:1 the file `/x` has no content"
            " | give one of `source`, `text`, `link` and `directory = true`"
        ),
    ),
    "file with two contents": (
        '[image.a.files]\n"/x" = { text = "", link = "y" }\n',
        "2:1 the file `/x` has `text` and `link` | keep one of them",
    ),
    "file path that climbs": (
        '[image.a.files]\n"/srv/../../x" = { text = "" }\n',
        "2:1 `/srv/../../x` must not have `..` in it | write the path it leads to",
    ),
    "file path twice": (
        '[image.a.files]\n"/x" = { text = "" }\n"//x/" = { directory = true }\n',
        "3:1 `//x/` and `/x` are the same path | keep one of them",
    ),
    "removing everything": (
        '[image.a]\nremove = ["/"]\n',
        "2:11 `/` is the whole image | name what is to go",
    ),
    "removing everything, with more slashes": (
        '[image.a]\nremove = ["//."]\n',
        "2:11 `//.` is the whole image | name what is to go",
    ),
    "number of two users": (
        "[image.a.users]\nb = { uid = 1000 }\nc = { uid = 1000 }\n",
        "3:7 `c` and `b` have the same number 1000 | give it another one, or leave it out",
    ),
    "colon in a field of passwd": (
        '[image.a.users.b]\ncomment = "x:0:0"\n',
        "2:1 `comment` must not have a colon in it | leave it out",
    ),
    "repository with Debian's own name": (
        '[image.a]\n[[debian.repository]]\nname = "debian"\nurl = "https://x"\nsuite = "y"\nkey = "z"\n',
        "3:1 the name `debian` is taken | give it a name of its own",
    ),
    "parent that does not exist": (
        '[image.base]\n[image.a]\nfrom = "bse"\n',
        "3:1 cannot find the image `bse` | did you mean `base`?",
    ),
    "parent like no other": (
        '[image.a]\n[image.b]\n[image.c]\nfrom = "xyz"\n',
        "4:1 cannot find the image `xyz` | there are: a, b",
    ),
    "parent in a registry, without saying so": (
        '[image.a]\nfrom = "docker://debian:13"\n',
        (
            "2:1 cannot find the image `docker://debian:13`"
            " | for an image of a registry: `oci:debian:13`"
        ),
    ),
    "service on a base image": (
        '[image.a]\nfrom = "oci:debian:13"\nservice = "nginx"\n',
        (
            "3:1 a service cannot be carried over into a base image, and `a` has one"
            " | say `entrypoint` and `user` in the table `oci`"
        ),
    ),
    "configuring packages on a base image": (
        (
            '[image.a]\nfrom = "oci:debian:13"\n[image.b]\nfrom = "a"\nconfigure = "dpkg"\n'
            '[image.c]\nfrom = "b"\n'
        ),
        (
            "5:1 packages cannot be configured on a base image, and `b` has one"
            " | leave `configure` out: the packages' files go on top of the base"
        ),
    ),
    "parent of the only image": ('[image.a]\nfrom = "b"\n', "2:1 cannot find the image `b`"),
    "circle of one": (
        '[image.a]\nfrom = "a"\n',
        "2:1 `from` goes in a circle: a -> a | take `from` out of one of them",
    ),
    "circle of three, and one that leads into it": (
        '[image.x]\nfrom = "a"\n[image.a]\nfrom = "b"\n[image.b]\nfrom = "c"\n[image.c]\nfrom = "a"\n',
        "4:1 `from` goes in a circle: a -> b -> c -> a | take `from` out of one of them",
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_told_with_its_place_and_the_mend(text: str, said: str) -> None:
    assert mistakes(text) == [said]


def test_a_mistake_that_is_inherited_is_told_once_where_it_stands() -> None:
    text = '[image.child]\nfrom = "base"\n[image.base.files]\n"/x" = { text = "", link = "y" }\n'
    assert mistakes(text) == [
        "4:1 the file `/x` has `text` and `link` | keep one of them",
    ]


HINT = "copy it beside the definition: a build must not depend on the rest of the host"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("missing", "2:1 cannot find the source `missing` | paths start beside the definition"),
        ("", "2:1 the source `` is outside the project | " + HINT),
        ("../outside", "2:1 the source `../outside` is outside the project | " + HINT),
        ("/etc/passwd", "2:1 the source `/etc/passwd` is outside the project | " + HINT),
        ("link/outside", "2:1 the source `link/outside` is outside the project | " + HINT),
        ("circle", "2:1 the source `circle` is outside the project | " + HINT),
    ],
)
def test_a_source_has_to_be_in_the_project(tmp_path: Path, source: str, said: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside").touch()
    (project / "link").symlink_to("..")
    (project / "circle").symlink_to("circle")
    text = f'[image.a.files]\n"/x" = "{source}"\n'
    assert mistakes(text, project) == [said]


def test_a_source_in_a_table_is_told_at_its_own_key(tmp_path: Path) -> None:
    text = '[image.a.files."/x"]\nmode = "0600"\nsource = "missing"\n'
    assert mistakes(text, tmp_path) == [
        "3:1 cannot find the source `missing` | paths start beside the definition"
    ]


def test_an_image_layout_has_to_be_there(tmp_path: Path) -> None:
    text = '[image.a]\nfrom = "oci-layout:base.oci"\n'
    assert mistakes(text, tmp_path) == [
        (
            "2:1 cannot find the image layout `base.oci`"
            " | paths start beside the definition, and a layout has a file `index.json`"
        )
    ]


def test_a_key_that_is_not_there_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    text = (
        '[image.a]\n[debian]\nkeyring = "a.pgp"\n'
        '[[debian.repository]]\nname = "x"\nurl = "https://x"\nsuite = "y"\nkey = "b.asc"\n'
    )
    assert mistakes(text, tmp_path) == [
        "3:1 cannot find the key `a.pgp` | paths start beside the definition",
        "also wrong:",
        "osloom.toml:8:1: cannot find the key `b.asc` (paths start beside the definition)",
    ]


def _mounted_at(place: str) -> str:
    partition = f"partition.more = {{ size = \"1G\", mount = '{place}' }}"
    return f'[image.a.disk]\nlayout = "appliance"\n{partition}\n'


@pytest.mark.parametrize(
    "place",
    ["/srv", "/srv/", "/data", "/var/log", "/home", "/root", "/var/lib/x", "/a/.b/..c", "/\u00fc"],
)
def test_a_partition_is_mounted_where_nothing_else_is(place: str) -> None:
    assert parse(_mounted_at(place), file="osloom.toml").image["a"].disk.partition["more"].mount


@pytest.mark.parametrize(
    "place",
    [
        *("/srv/a b", "/srv/a\tb", "/a#b", "/a\\040b", "/a\u00a0b", "/a\u0085b"),
        *("/srv/../etc", "/./etc", "/var/.", "/var/../usr", "/a//b", "//", "/a//", "/..", "a"),
    ],
)
def test_a_mount_is_a_plain_path(place: str) -> None:
    (said,) = mistakes(_mounted_at(place))
    assert said.startswith("3:33 `mount` cannot be `")


@pytest.mark.parametrize(
    "place",
    [
        "/",
        "/etc",
        "/usr/local",
        "/var",
        "/var/",
        "/var/lib",
        "/var/lib/osloom",
        "/var/lib/osloom/x",
    ],
)
def test_nothing_hides_what_the_system_has(place: str) -> None:
    (said,) = mistakes(_mounted_at(place))
    assert said.startswith(
        f"3:33 nothing can be mounted at `{place}`: the system has its own there"
    )
