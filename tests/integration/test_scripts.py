"""What scripts leave of directories: all of it is in the image, and nothing else."""

import tarfile
from pathlib import Path

from integration.conftest import Workshop

_DEFINITION = """
[image.box]
packages = ["coreutils", "dash"]
configure = "none"
outputs = ["tar"]

[image.box.files]
"/opt/anew/same" = { text = "same\\n" }
"/opt/anew/gone" = { text = "gone\\n" }
"/opt/anew/below/same" = { text = "same\\n" }
"/opt/anew/below/gone" = { text = "gone\\n" }
"/opt/moved/below/same" = { text = "same\\n" }
"/opt/file/gone" = { text = "gone\\n" }
"/opt/link/gone" = { text = "gone\\n" }

[[image.box.script]]
run = '''
cd /opt
cp -a anew kept
rm -r anew
mkdir -p anew/below
cp -a kept/same anew/
cp -a kept/below/same anew/below/
rm -r kept
mv moved away && mv away moved
rm -r file && echo file >file
rm -r link && ln -s moved link
'''
"""


def test_a_directory_that_is_made_anew_holds_what_was_put_there(
    tmp_path: Path, store: Path
) -> None:
    (tmp_path / "osloom.toml").write_text(_DEFINITION)
    Workshop(tmp_path, store)("build").check()
    with tarfile.open(tmp_path / "dist/box/box.tar") as archive:
        found = [one.name for one in archive if one.name.startswith("opt/")]
        assert found == [
            "opt/anew",
            "opt/anew/below",
            "opt/anew/below/same",
            "opt/anew/same",
            "opt/file",
            "opt/link",
            "opt/moved",
            "opt/moved/below",
            "opt/moved/below/same",
        ]
        assert archive.getmember("opt/file").isreg()
        assert archive.getmember("opt/link").linkname == "moved"


_VERSION = """
[image.box]
packages = ["coreutils", "dash", "tzdata"]
outputs = ["tar"]

[image.box.files]
"/opt/version" = {{ text = "{version}\\n" }}
"/opt/{version}/own" = {{ text = "own\\n", mode = "4755", owner = "games" }}
"/opt/{version}/gone" = {{ text = "gone\\n" }}
"/opt/{version}/below/gone" = {{ text = "gone\\n" }}
"/opt/{version}/mode" = {{ text = "mode\\n" }}
"/opt/{version}/text" = {{ text = "old\\n" }}

[[image.box.script]]
run = '''
ls -lR /opt /etc >/opt/seen
find / -xdev -newer /opt/version >>/opt/seen
cd /opt/{version}
rm -r gone below /usr/share/zoneinfo/Asia
chmod 600 mode
echo new >text
'''
"""


def test_a_root_that_is_made_of_another_one_leaves_the_same(tmp_path: Path) -> None:
    built, members = {}, {}
    for name, versions in (("both", (1, 2)), ("alone", (2,))):
        place = tmp_path / name
        place.mkdir()
        box = Workshop(place, tmp_path / f"store-{name}")
        for version in versions:
            (place / "osloom.toml").write_text(_VERSION.format(version=version))
            before = set((box.store / "roots").glob("*"))
            built[name, version] = box("build", "--json").check().digests
            made = set((box.store / "roots").glob("*")) - before
            with tarfile.open(place / "dist/box/box.tar") as archive:
                opt = [one for one in archive if one.name.startswith("opt/")]
                members[name, version] = {one.name: (one.mode, one.size) for one in opt}
                assert not any(one.name.startswith("usr/share/zoneinfo/Asia") for one in archive)
            # The second version has no root of its own: it was laid over one of the first.
            assert bool(made) == (version == versions[0])
    assert built["both", 2] == built["alone", 2]
    del members["both", 2]["opt/seen"]
    assert members["both", 2] == {
        "opt/2": (0o755, 0),
        "opt/2/mode": (0o600, 5),
        "opt/2/own": (0o4755, 4),
        "opt/2/text": (0o644, 4),
        "opt/version": (0o644, 2),
    }
