"""What a definition with a mistake in it is answered: place, message, hint, the rest."""

from pathlib import Path

import pytest

from osloom.base.errors import DefinitionError
from osloom.definition.load import parse

FORMATS = "`oci`, `nspawn`, `disk`, `initrd`, `uki` or `tar`"


def mistakes(text: str, directory: Path | None = None) -> list[str]:
    """The error as lines: `LINE:COLUMN message | hint`, then what else is wrong."""
    with pytest.raises(DefinitionError) as caught:
        parse(text, file="osloom.toml", directory=directory)
    error = caught.value
    assert error.where is not None
    assert error.where.file == "osloom.toml"
    assert error.exit_code == 2
    hint = f" | {error.hint}" if error.hint else ""
    first = f"{error.where.line}:{error.where.column} {error.message}{hint}"
    return [first, *error.detail.splitlines()]


WRONG = {
    "key misspelt in an image": (
        '[image.a]\npakages = ["vim"]\n',
        "2:1 unknown key `pakages` | did you mean `packages`?",
    ),
    "registry that is an address": (
        '[image.a]\n[registry]\naddress = "https://host.example/team"\n',
        (
            "3:1 `address` cannot be `https://host.example/team` | it is a registry's host, with the"
            " beginning of the repositories' names behind it, as in `registry.example.com/team`"
        ),
    ),
    "updates over plain HTTP": (
        '[image.a]\nupdate.url = "http://updates.example.com/a/"\n',
        (
            "2:8 devices must not fetch from `updates.example.com` over plain HTTP | anyone on the"
            " way could hold back updates: write `https://`"
        ),
    ),
    "updates from no host": (
        '[image.a]\nupdate.url = "https:///a/"\n',
        "2:8 `https:///a/` names no host | write `https://updates.example.com/NAME/`",
    ),
    "updates from a query": (
        '[image.a]\nupdate.url = "https://h.example/?a=1"\n',
        (
            "2:8 `https://h.example/?a=1` is not the address of a directory | devices put the names"
            " of files behind it: end it with the directory"
        ),
    ),
    "channel of an unknown kind": (
        '[image.a]\n[release]\nto = "ftp://h.example/a"\n',
        (
            "3:1 `to` cannot be `ftp://h.example/a` | it is a directory, or an address that starts"
            " with `https://`, `http://`, `file://`, `s3://` or `oci://`, as in"
            " `s3://releases/gateway?region=eu-central-1`"
        ),
    ),
    "key misspelt at the top": (
        "[imag.a]\n[image.b]\n",
        "1:2 unknown key `imag` | did you mean `image`?",
    ),
    "key misspelt in an inline table": (
        '[image.a]\nfiles = { "/x" = { text = "", moode = "0644" } }\n',
        "2:31 unknown key `moode` | did you mean `mode`?",
    ),
    "key misspelt in an array of tables": (
        '[image.a]\n[[image.a.test]]\nrun = "true"\n[[image.a.test]]\nrun = "x"\ntimout = 3\n',
        "6:1 unknown key `timout` | did you mean `timeout`?",
    ),
    "key with an underscore": (
        "[image.a]\nkernel_command_line = []\n",
        "2:1 unknown key `kernel_command_line` | did you mean `kernel-command-line`?",
    ),
    "key of another table": (
        "[image.a]\nentrypoint = []\n",
        "2:1 unknown key `entrypoint` | `entrypoint` belongs into the table `[image.NAME.oci]`",
    ),
    "key of an image in the project": (
        "[image.a]\n[project]\npackages = []\n",
        "3:1 unknown key `packages` | `packages` belongs into the table `[image.NAME]`",
    ),
    "key like no other": (
        "[image.a]\n[debian]\nzzz = 1\n",
        (
            "3:1 unknown key `zzz` | known keys: suite, mirror, security-mirror, components, security,"
            " updates, check-valid-until, backports, keyring, repository"
        ),
    ),
    "number for an array": (
        "[image.a]\npackages = 7\n",
        "2:1 `packages` has to be an array of strings, not a number",
    ),
    "string for an array": (
        '[image.a]\npackages = "vim"\n',
        '2:1 `packages` has to be an array of strings, not a string | put it in brackets: `["vim"]`',
    ),
    "number in an array of strings": (
        '[image.a]\npackages = [\n  "vim",\n  7,\n]\n',
        '4:3 item 2 of `packages` has to be a string, not a number | put it in quotes: `"7"`',
    ),
    "number for a string": (
        "[image.a]\n[project]\nversion = 7\n",
        '3:1 `version` has to be a string, not a number | put it in quotes: `"7"`',
    ),
    "string for a number": (
        '[image.a.oci]\nlayers = "80"\n',
        "2:1 `layers` has to be a number, not a string | leave the quotes out: `80`",
    ),
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
    "a tag with a colon": (
        '[image.a.oci]\ntag = "a:b"\n',
        (
            "2:1 `tag` cannot be `a:b` | "
            "it is letters, digits, `.`, `_` and `-`, 128 at most, no `.` or `-` first, as in `1.2`"
        ),
    ),
    "a port out of range": (
        "[image.a.oci]\nports = [80000]\n",
        "2:10 item 1 of `ports` cannot be 80000 | it is 65535 or less",
    ),
    "a volume that is not absolute": (
        '[image.a.oci]\nvolumes = ["data"]\n',
        (
            "2:12 item 1 of `volumes` cannot be `data` | "
            "it is a path from the image's root, as in `/srv/www`"
        ),
    ),
    "truth value for a number": (
        "[image.a.oci]\nlayers = true\n",
        "2:1 `layers` has to be a number, not true or false",
    ),
    "string for a truth value": (
        '[image.a]\nrecommends = "true"\n',
        "2:1 `recommends` has to be true or false, not a string | leave the quotes out: `true`",
    ),
    "date for a string": (
        "[image.a]\nhostname = 2024-01-01\n",
        "2:1 `hostname` has to be a string, not a date or time",
    ),
    "mode as a number": (
        '[image.a.files]\n"/x" = { text = "", mode = 0o644 }\n',
        '2:21 `mode` has to be a string, not a number | write it in octal and in quotes: `"0644"`',
    ),
    "array for a string or a table": (
        '[image.a.files]\n"/x" = []\n',
        "2:1 `/x` has to be a string or a table, not an array",
    ),
    "table for an array of tables": (
        '[image.a.test]\nrun = "true"\n',
        (
            "1:10 `test` has to be an array of tables, not a table"
            " | write its header as `[[image.a.test]]`"
        ),
    ),
    "array of tables for a table": (
        "[image.a]\n[[image.a.disk]]\n",
        "2:11 `disk` has to be a table, not an array | write its header as `[image.a.disk]`",
    ),
    "string for a table": ("image = 'a'\n", "1:1 `image` has to be a table, not a string"),
    "string for an image": ("[image]\na = 'b'\n", "2:1 `a` has to be a table, not a string"),
    "output that does not exist": (
        '[image.a]\noutputs = ["disk", "dsk"]\n',
        f"2:20 item 2 of `outputs` cannot be `dsk`: it is {FORMATS} | did you mean `disk`?",
    ),
    "output like no other": (
        '[image.a]\noutputs = ["vmdk-x"]\n',
        f"2:12 item 1 of `outputs` cannot be `vmdk-x`: it is {FORMATS}",
    ),
    "output as a number": (
        "[image.a]\noutputs = [1]\n",
        f"2:12 item 1 of `outputs` cannot be `1`: it is {FORMATS}",
    ),
    "choice that does not exist": (
        '[image.a.disk]\nfilesystem = "ext5"\n',
        (
            "2:1 `filesystem` cannot be `ext5`: it is `ext4`, `erofs` or `btrfs`"
            " | did you mean `ext4`?"
        ),
    ),
    "number too large": (
        "[image.a.oci]\nlayers = 128\n",
        "2:1 `layers` cannot be 128 | it is 127 or less",
    ),
    "number too small": (
        "[image.a.oci]\nports = [0]\n",
        "2:10 item 1 of `ports` cannot be 0 | it is 1 or more",
    ),
    "package name with a capital": (
        '[image.a]\npackages = ["Vim"]\n',
        (
            "2:13 item 1 of `packages` cannot be `Vim`"
            " | it is the name of a package, with `=VERSION` where one version is wanted,"
            " as in `nginx-light`"
        ),
    ),
    "unit that is shell text": (
        '[image.a.systemd]\nenable = ["x; reboot"]\n',
        (
            "2:11 item 1 of `enable` cannot be `x; reboot`"
            " | it is the name of a unit, as in `nginx.service`"
        ),
    ),
    "line end at the end of a name": (
        '[image.a]\nhostname = "a\\n"\n',
        (
            "2:1 `hostname` cannot be `a\n` | it is letters, digits, `.` and `-`, 63 at most,"
            " as in `web-1`"
        ),
    ),
    "user name with a capital": (
        "[image.a.users.App]\n",
        (
            "1:16 `App` cannot be a name in `users`"
            " | it is lower-case letters, digits, `.`, `_` and `-`, a letter or `_` first, as in `app`"
        ),
    ),
    "group name with a space": (
        "[image.a.groups.'a b']\n",
        (
            "1:17 `a b` cannot be a name in `groups`"
            " | it is lower-case letters, digits, `.`, `_` and `-`, a letter or `_` first, as in `app`"
        ),
    ),
    "image name that is a path": (
        '[image."../a"]\n',
        (
            "1:8 `../a` cannot be a name in `image`"
            " | it is lower-case letters, digits, `.`, `_` and `-`, a letter or digit first,"
            " as in `web`"
        ),
    ),
    "relative path in the image": (
        '[image.a.files]\n"etc/x" = "x"\n',
        (
            "2:1 `etc/x` cannot be a name in `files`"
            " | it is a path from the image's root, as in `/srv/www`"
        ),
    ),
    "plain password, which is not repeated": (
        '[image.a.users.app]\npassword = "geheim"\n',
        "2:1 `password` cannot be this text | it is a crypt(5) hash, as `openssl passwd -6` makes it",
    ),
    "no image": ("", "1:1 the file has no `image` | add a table `[image.NAME]`"),
    "no image but a table for them": (
        "[image]\n",
        "1:2 `image` is empty | add a table `[image.NAME]`",
    ),
    "script without text": (
        '[image.a]\n[[image.a.script]]\nname = "x"\n',
        "2:11 item 1 of `script` has no `run` | add `run`, a string",
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
    "test over HTTP of another machine": (
        '[image.a]\n[[image.a.test]]\nhttp = "http://example.com/"\n',
        (
            "3:1 `http` cannot be `http://example.com/` | it is an address that starts with"
            " `http://localhost`, as in `http://localhost:8080/health`"
        ),
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
    "value without quotes": (
        "[image.a]\nhostname = web\n",
        '2:12 cannot read osloom.toml: invalid value | a text has to be in quotes: `key = "value"`',
    ),
    "string without an end": (
        '[image.a]\nhostname = "web\n',
        "2:16 cannot read osloom.toml: illegal character '\\n'",
    ),
    "end of the file inside an array": (
        '[image.a]\npackages = ["vim"\n',
        "2:18 cannot read osloom.toml: unclosed array",
    ),
    "table twice": (
        "[image.a]\n[image.a]\n",
        (
            "2:9 cannot read osloom.toml: cannot declare ('image', 'a') twice"
            " | a table or key may be there only once: join the two"
        ),
    ),
    "key twice": (
        "[image.a]\nhostname = 'a'\nhostname = 'b'\n",
        (
            "3:15 cannot read osloom.toml: cannot overwrite a value"
            " | a table or key may be there only once: join the two"
        ),
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_told_with_its_place_and_the_mend(text: str, said: str) -> None:
    assert mistakes(text) == [said]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
[image.a]
pakages = []
hostname = 7
[image.a.oci]
compression = "zst"
[project]
nam = "x"
"""
    assert mistakes(text) == [
        "2:1 unknown key `pakages` | did you mean `packages`?",
        "also wrong:",
        'osloom.toml:3:1: `hostname` has to be a string, not a number (put it in quotes: `"7"`)',
        (
            "osloom.toml:5:1: `compression` cannot be `zst`: it is `zstd`, `gzip` or `none`"
            " (did you mean `zstd`?)"
        ),
        "osloom.toml:7:1: unknown key `nam` (did you mean `name`?)",
    ]


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
