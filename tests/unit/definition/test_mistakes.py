"""What a definition with a mistake in it is answered: place, message, hint, the rest."""

import pytest

from support.mistakes import mistakes

FORMATS = "`oci`, `nspawn`, `disk`, `initrd`, `uki`, `tar`, `sysext` or `confext`"


WRONG = {
    "link to nowhere at all": (
        '[image.a]\nfiles = { "/a" = { link = "" } }\n',
        "2:20 `link` cannot be empty | it is where a symbolic link points, as in `../lib`",
    ),
    "zero byte in an argument": (
        '[image.a]\noci.entrypoint = ["a", "b\\u0000"]\n',
        "2:24 item 2 of `entrypoint` cannot be `b\\x00` | it is text without a zero byte",
    ),
    "signal that there is none of": (
        '[image.a]\noci.stop-signal = "SIGTREM"\n',
        (
            "2:5 `stop-signal` cannot be `SIGTREM`"
            " | it is the name of a signal, or its number, as in `SIGQUIT`"
        ),
    ),
    "everything as a volume": (
        '[image.a]\noutputs = ["oci"]\noci.volumes = ["/."]\n',
        "3:16 the whole image cannot be a volume | name a directory",
    ),
    "volume that leads elsewhere": (
        '[image.a]\noutputs = ["oci"]\noci.volumes = ["/a/../b"]\n',
        "3:16 `/a/../b` must not have `..` in it | write the path it leads to",
    ),
    "check of health that runs nothing": (
        "[image.a]\noci.healthcheck.command = []\n",
        "2:17 `command` is empty | write at least one",
    ),
    "home of the default user where there is another": (
        '[image.a]\noutputs = ["oci"]\noci.user = "bob"\noci.home = "/srv"\n',
        "4:5 `home` is of the user `nonroot`, and `user` is `bob` | leave one of them out",
    ),
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
    "updates that nobody signs": (
        '[image.a]\nupdate.url = "https://updates.example.com/a/"\n',
        (
            "2:8 devices could not tell whose updates they take: there is no key"
            ' | run `osloom keys new`, and write `[keys]` and `directory = "keys"`'
        ),
    ),
    "version of an appliance that is no number": (
        '[project]\nversion = "1.2"\n[image.a]\ndisk.layout = "appliance"\n',
        (
            "2:1 the version of an appliance is a whole number, not `1.2`"
            ' | count releases: `version = "1"`'
        ),
    ),
    "suite that is too old for an appliance": (
        (
            '[debian]\nsuite = "bookworm"\n[project]\nversion = "1"\n'
            '[image.a]\ndisk.layout = "appliance"\n'
        ),
        (
            "2:1 an appliance needs systemd 257: `bookworm` has an older one"
            " | set it to `trixie` or a later one"
        ),
    ),
    "name of an appliance that no partition can have": (
        (
            '[project]\nname = "the-name-of-a-project"\nversion = "1"\n'
            '[image.the-name-of-an-image]\ndisk.layout = "appliance"\n'
        ),
        (
            "4:8 `the-name-of-a-project-the-name-of-an-image_1` is too long for a partition's label"
            " of 36 characters | shorten the name of the project or of the image"
        ),
    ),
    "encrypted data of NixOS": (
        (
            '[keys]\ndirectory = "keys"\n[image.a]\nnixos = ".#a"\n'
            'disk.layout = "appliance"\ndisk.data.encryption = "passphrase"\n'
        ),
        (
            "6:11 the data of an appliance that is a NixOS system cannot be encrypted yet"
            " | leave `encryption` out"
        ),
    ),
    "mount of NixOS": (
        (
            '[image.a]\nnixos = ".#a"\n[image.a.disk]\nlayout = "appliance"\n'
            'partition.p = { size = "1G", mount = "/p" }\n'
        ),
        (
            "5:30 what a NixOS system mounts is said in its configuration"
            ' | leave `mount` out, and set `fileSystems."/p"` there'
        ),
    ),
    "file of NixOS on its data partition": (
        (
            '[image.a]\nnixos = ".#a"\ndisk.layout = "appliance"\n'
            '[image.a.files]\n"/var/a" = { text = "a" }\n'
        ),
        (
            "5:1 `/var/a` is not of the version: a device has its own /var"
            " | say it in `systemd.tmpfiles` of the configuration"
        ),
    ),
    "file system of an appliance's root": (
        '[image.a.disk]\nlayout = "appliance"\nfilesystem = "btrfs"\n',
        (
            "3:1 the root of an appliance is always erofs"
            " | leave `filesystem` out; that of data is `data.filesystem`"
        ),
    ),
    "partition with a name that is taken": (
        '[image.a.disk]\nlayout = "appliance"\npartition.data.size = "1G"\n',
        "3:11 the partition name `data` is taken | choose another",
    ),
    "partition that is mounted without a file system": (
        (
            '[image.a.disk]\nlayout = "appliance"\n'
            'partition.raw = { size = "1G", filesystem = "none", mount = "/raw" }\n'
        ),
        (
            "3:53 the partition `raw` has nothing to mount"
            " | give it a `filesystem`, or leave `mount` out"
        ),
    ),
    "partition without room for its file system": (
        (
            '[image.a.disk]\nlayout = "appliance"\n'
            'partition.more = { size = "64M", filesystem = "btrfs" }\n'
        ),
        "3:20 the partition `more` is too small for btrfs | give it at least `256M`",
    ),
    "swap that is none": (
        '[image.a.disk]\nlayout = "appliance"\nswap = "0"\n',
        "3:1 `0` is too small for swap: it takes `1M` at least | leave `swap` out to have none",
    ),
    "swap that mkswap refuses": (
        '[image.a.disk]\nlayout = "appliance"\nswap = "16K"\n',
        "3:1 `16K` is too small for swap: it takes `1M` at least | leave `swap` out to have none",
    ),
    "partition that is mounted over the system": (
        (
            '[image.a.disk]\nlayout = "appliance"\n'
            'partition.more = { size = "1G", mount = "/usr/local" }\n'
        ),
        (
            "3:33 nothing can be mounted at `/usr/local`: the system has its own there"
            " | choose a place of its own, or one below `/var`"
        ),
    ),
    "partition that is mounted over what a device has changed": (
        (
            '[image.a.disk]\nlayout = "appliance"\n'
            'partition.more = { size = "1G", mount = "/var/lib" }\n'
        ),
        (
            "3:33 nothing can be mounted at `/var/lib`: the system has its own there"
            " | choose a place of its own, or one below `/var`"
        ),
    ),
    "partitions that are mounted at one place": (
        (
            '[image.a.disk]\nlayout = "appliance"\n'
            'partition.one = { size = "1G", mount = "/srv" }\n'
            'partition.two = { size = "1G", mount = "/var/srv/" }\n'
        ),
        (
            "4:32 `two` cannot be mounted at `/var/srv/`: the partition `one` is"
            " | give each partition a place of its own"
        ),
    ),
    "partition of an image that another one makes an appliance": (
        (
            '[image.a.disk]\nlayout = "appliance"\npartition.one = { size = "1G", mount = "/a" }\n'
            '[image.b]\nfrom = "a"\n[image.b.disk]\n'
            'partition.two = { size = "1G", mount = "/a" }\n'
        ),
        (
            "7:32 `two` cannot be mounted at `/a`: the partition `one` is"
            " | give each partition a place of its own"
        ),
    ),
    "partition whose mount would be two lines of fstab": (
        (
            '[image.a.disk]\nlayout = "appliance"\n'
            'partition.more = { size = "1G", mount = "/a\\n/b" }\n'
        ),
        (
            "3:33 `mount` cannot be `/a\\n/b` | it is a path from the image's root, without `.`,"
            " `..`, `//`, white space, `#` and backslash, as in `/srv/data`"
        ),
    ),
    "updates over plain HTTP": (
        '[keys]\ndirectory = "keys"\n[image.a]\nupdate.url = "http://updates.example.com/a/"\n',
        (
            "4:8 devices must not fetch from `updates.example.com` over plain HTTP | anyone on the"
            " way could hold back updates: write `https://`"
        ),
    ),
    "moment that is none": (
        '[image.a]\nupdate.reboot = "rubbish"\n',
        (
            "2:8 `reboot` cannot be `rubbish`: no device could tell when that is"
            " | it is `now`, `never`, or a moment of systemd.time(7), as in `Sun 03:00`"
        ),
    ),
    "moment that is misspelt": (
        '[image.a]\nupdate.reboot = "Never"\n',
        (
            "2:8 `reboot` cannot be `Never`: no device could tell when that is"
            " | did you mean `never`?"
        ),
    ),
    "moment with letters that changed places": (
        '[image.a]\nupdate.reboot = "nwo"\n',
        "2:8 `reboot` cannot be `nwo`: no device could tell when that is | did you mean `now`?",
    ),
    "moment on a day that is misspelt": (
        '[image.a]\nupdate.reboot = "Sonday 03:00"\n',
        (
            "2:8 `reboot` cannot be `Sonday 03:00`: no device could tell when that is"
            " | did you mean `Sunday 03:00`?"
        ),
    ),
    "moment that no day has": (
        '[image.a]\nupdate.reboot = "Sun 25:00"\n',
        (
            "2:8 `reboot` cannot be `Sun 25:00`: no device could tell when that is"
            " | it is `now`, `never`, or a moment of systemd.time(7), as in `Sun 03:00`"
        ),
    ),
    "interval that systemd cannot count": (
        '[image.a]\nupdate.interval = "9999999999999h"\n',
        (
            "2:8 `interval` cannot be `9999999999999h`"
            " | it is a number with s, min, h or d behind it, as in `6h`"
        ),
    ),
    "updates from no host": (
        '[keys]\ndirectory = "keys"\n[image.a]\nupdate.url = "https:///a/"\n',
        "4:8 `https:///a/` names no host | write `https://updates.example.com/NAME/`",
    ),
    "updates from a query": (
        '[keys]\ndirectory = "keys"\n[image.a]\nupdate.url = "https://h.example/?a=1"\n',
        (
            "4:8 `https://h.example/?a=1` is not the address of a directory | devices put the names"
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
    "size that no machine has": (
        f'[image.a.disk]\nslot-size = "{"9" * 16}"\n',
        (
            f"2:1 `slot-size` cannot be `{'9' * 16}`"
            " | it is bytes, or a number with K, M, G or T behind it, as in `512M`"
        ),
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
            "2:1 `hostname` cannot be `a\\n` | it is letters, digits, `.` and `-`, 63 at most,"
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
    "test over HTTP of another machine": (
        '[image.a]\n[[image.a.test]]\nhttp = "http://example.com/"\n',
        (
            "3:1 `http` cannot be `http://example.com/` | it is an address that starts with"
            " `http://localhost`, as in `http://localhost:8080/health`"
        ),
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
