"""What extensions cannot be, and what to do instead."""

import pytest

from osloom.definition.load import parse
from osloom.model.fetched import fetched_by, is_signed_extension
from support.mistakes import mistakes

GATEWAY = '[image.gateway]\noutputs = ["disk"]\n'
EXTENSION = '[image.x]\nextends = "gateway"\noutputs = ["sysext"]\n'
WRONG = {
    "an image that is not there": (
        '[image.x]\nextends = "gatway"\noutputs = ["sysext"]\n',
        "4:1 cannot find the image `gatway` | did you mean `gateway`?",
    ),
    "itself": (
        '[image.x]\nextends = "x"\noutputs = ["sysext"]\n',
        "4:1 an image cannot extend itself",
    ),
    "another extension": (
        EXTENSION + '[image.y]\nextends = "x"\noutputs = ["sysext"]\n',
        "7:1 `x` is an extension itself | extend `gateway`",
    ),
    "a container for several machines": (
        (
            '[image.c]\noutputs = ["oci"]\narchitectures = ["amd64"]\n'
            '[image.x]\nextends = "c"\noutputs = ["sysext"]\n'
        ),
        "7:1 `c` is only a container | extend an image that boots",
    ),
    "an image for another machine": (
        EXTENSION + 'architecture = "arm64"\n',
        (
            "4:1 `gateway` is for amd64, and `x` is not"
            " | leave `architecture` out: that of the extended image is taken"
        ),
    ),
    "no extension": (
        '[image.x]\nextends = "gateway"\noutputs = ["oci"]\n',
        "4:1 `extends` is for the outputs `sysext` and `confext` | add one of them to `outputs`",
    ),
    "a system and an extension": (
        '[image.x]\noutputs = ["sysext", "disk"]\n',
        (
            "4:22 `disk` cannot be made of an extension, which is no whole system"
            " | make an image of its own for it"
        ),
    ),
    "accounts": (
        EXTENSION + "users.app = {}\n",
        (
            "6:1 an extension cannot have `users` | make them in the image that is extended: accounts"
            " are there before extensions"
        ),
    ),
    "configured packages": (
        EXTENSION + 'configure = "dpkg"\n',
        "6:1 packages cannot be configured in an extension, which is read-only | leave it out",
    ),
    "a masked unit": (
        EXTENSION + 'systemd.mask = ["a.service"]\n',
        "6:9 an extension cannot have `mask`: it only adds | say it in the image that is extended",
    ),
    "a unit in a confext": (
        '[image.x]\noutputs = ["confext"]\nsystemd.enable = ["a.service"]\n',
        "5:9 units are started by a `sysext` | add `sysext` to `outputs`",
    ),
    "a file in /etc of a sysext": (
        EXTENSION + 'files."/etc/x" = { text = "" }\n',
        (
            "6:7 `/etc/x` would not be seen: only what is below /usr or /opt is merged"
            " | add `confext` to `outputs`"
        ),
    ),
    "a file in /usr of a confext": (
        '[image.x]\noutputs = ["confext"]\nfiles."/usr/x" = { text = "" }\n',
        (
            "5:7 `/usr/x` would not be seen: only what is below /etc is merged"
            " | add `sysext` to `outputs`"
        ),
    ),
    "a file in /var": (
        EXTENSION + 'files."/var/lib/x" = { directory = true }\n',
        (
            "6:7 `/var/lib/x` would not be seen: only what is below /usr or /opt is merged"
            " | let a file below /usr/lib/tmpfiles.d make it, tmpfiles.d(5)"
        ),
    ),
    "a file elsewhere": (
        EXTENSION + 'files."/srv/x" = { text = "" }\n',
        (
            "6:7 `/srv/x` would not be seen: only what is below /usr or /opt is merged"
            " | put it below /usr or /opt"
        ),
    ),
    "another os-release": (
        EXTENSION + 'files."/usr/lib/os-release" = { text = "" }\n',
        (
            "6:7 `/usr/lib/os-release` would take the place of the system's own"
            " | leave it out: what the extension is of is written anyway"
        ),
    ),
}
APPLIANCE = """[project]
version = "1"
[keys]
directory = "keys"
[image.gateway]
outputs = ["disk"]
disk.layout = "appliance"
update.url = "https://updates.example.com/gateway/"
update.extensions = ["x"]
"""
NOT_FETCHED = {
    "an extension that is not there": (
        APPLIANCE.replace('"x"', '"tracking"') + EXTENSION.replace(".x", ".tracing"),
        "9:22 cannot find the image `tracking` | did you mean `tracing`?",
    ),
    "no extension": (
        APPLIANCE.replace('"x"', '"gateway"'),
        "9:22 `gateway` is no extension",
    ),
    "an extension of another image": (
        APPLIANCE
        + '[image.other]\noutputs = ["tar"]\n'
        + EXTENSION.replace('"gateway"', '"other"'),
        (
            '9:22 `x` extends `other`, and not `gateway` | write `extends = "gateway"` there, or leave'
            " it out here"
        ),
    ),
    "no appliance": (
        APPLIANCE.replace('disk.layout = "appliance"', 'disk.layout = "plain"') + EXTENSION,
        (
            '9:8 only the devices of an appliance fetch extensions | write `layout = "appliance"` into'
            " its table `disk`"
        ),
    ),
    "no place beside the system": (
        APPLIANCE.replace(".com/gateway/", ".com/") + EXTENSION,
        (
            "9:22 devices could not tell where to look for `x` | give a `url` to the table `update` of"
            " `gateway` that ends with a directory"
        ),
    ),
    "two levels": (
        APPLIANCE.replace('"x"', '"x", "y"')
        + EXTENSION
        + 'extension.level = "1"\n'
        + EXTENSION.replace(".x", ".y")
        + 'extension.level = "2"\n',
        "9:27 `y` and `x` are of different levels: no system takes both | give them the same `level`",
    ),
}


@pytest.mark.parametrize(("text", "said"), NOT_FETCHED.values(), ids=NOT_FETCHED.keys())
def test_what_devices_cannot_fetch_is_told_with_the_mend(text: str, said: str) -> None:
    assert mistakes(text) == [said]


def test_an_extension_of_what_an_appliance_starts_from_is_for_it_too() -> None:
    text = APPLIANCE.replace("[image.gateway]", '[image.base]\n[image.gateway]\nfrom = "base"')
    definition = parse(text + EXTENSION.replace('"gateway"', '"base"'), file="osloom.toml")
    assert definition.image["gateway"].update.extensions == ("x",)


def test_devices_look_beside_the_system_or_where_the_extension_says() -> None:
    more = EXTENSION + 'update.url = "https://elsewhere.example.com/x"\n'
    for text, url in (
        (EXTENSION, "https://updates.example.com/x/"),
        (more, "https://elsewhere.example.com/x/"),
    ):
        definition = parse(APPLIANCE + text, file="osloom.toml")
        (one,) = fetched_by(definition, definition.image["gateway"])
        assert (one.name, one.id, one.url, one.kinds) == ("x", "osloom-x", url, ("sysext",))


@pytest.mark.parametrize(
    ("text", "signed"),
    [
        (APPLIANCE + EXTENSION, True),
        (APPLIANCE + EXTENSION.replace('extends = "gateway"\n', ""), True),
        (GATEWAY + EXTENSION, False),
        (GATEWAY + 'files."/usr/lib/verity.d/a.crt" = "a.crt"\n' + EXTENSION, True),
        (GATEWAY + 'files."/etc/verity.d/a.crt" = "a.crt"\n' + EXTENSION, True),
        (GATEWAY + 'files."/etc/verity.d/a.pem" = "a.pem"\n' + EXTENSION, False),
    ],
)
def test_what_a_system_would_refuse_is_not_signed(text: str, *, signed: bool) -> None:
    definition = parse(text, file="osloom.toml")
    assert is_signed_extension(definition, "x") == signed
    assert not is_signed_extension(definition, "gateway")


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_told_with_the_mend(text: str, said: str) -> None:
    assert mistakes(GATEWAY + text) == [said]


def test_a_mistake_that_is_inherited_is_told_once() -> None:
    text = '[image.y]\nfrom = "x"\noutputs = ["confext"]\n'
    assert mistakes(GATEWAY + EXTENSION + "hostname = 'a'\n" + text) == [
        "6:1 an extension cannot have `hostname` | say it in the image that is extended"
    ]


def test_an_extension_is_for_the_machine_of_what_it_extends() -> None:
    text = '[image.gateway]\narchitecture = "arm64"\noutputs = ["disk"]\n' + EXTENSION
    image = parse(text, file="osloom.toml").image["x"]
    assert image.architecture == "arm64"
    assert image.is_extension
    assert not image.runs_programs
