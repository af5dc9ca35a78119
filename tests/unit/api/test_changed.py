"""Which images a change touches, in a real repository."""

import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from osloom.api.changed import changed
from osloom.api.git import head
from osloom.api.project import Project, open_project
from osloom.api.requests import needed_by
from osloom.base.digest import Digest
from osloom.base.errors import UsageError
from osloom.model.closure import StorePath
from osloom.model.lock import Base, Lock, LockedImage, Package
from osloom.sources.debian import lockfile

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")

DEFINITION = """
[image.base]
packages = ["base"]
[image.api]
from = "base"
packages = ["api"]
outputs = ["oci"]
files = { "/app" = "src", "/etc/api" = "api.conf" }
[image.api.oci]
debug = true
[image.web]
from = "base"
packages = ["web"]
outputs = ["oci"]
files = { "/srv" = "site" }
[image.more]
extends = "web"
packages = ["more"]
outputs = ["sysext"]
"""


def package(name: str, version: str = "1") -> Package:
    return Package(
        name=name,
        version=version,
        architecture="amd64",
        repository="debian/trixie",
        path=f"pool/{name}",
        size=1,
        digest=f"sha256:{len(name) + len(version):064d}",  # type: ignore[arg-type]
    )


def digest(digit: str) -> Digest:
    return Digest(f"sha256:{digit * 64}")


def locked(project: Project, *more: Package) -> Lock:
    """A lock with one package for each image, and `more` in place of those of that name."""
    images = project.definition.image
    names = sorted(
        {*images, *(one for name in images for one in needed_by(project.definition, name))}
    )
    newer = {one.name: one for one in more}
    packages = {name: newer.get(name, package(name)) for name in names}
    return Lock(
        epoch=1,
        repositories=(),
        packages=tuple(sorted(packages.values(), key=lambda one: one.id)),
        images={
            name: LockedImage(
                request=one.digest,
                requested=(name,),
                suite="trixie",
                architecture="amd64",
                packages=(one.id,),
            )
            for name, one in packages.items()
        },
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    # Below the top of the repository, as a definition may be.
    directory = tmp_path / "deploy"
    for name in ("src/main.py", "site/index.html", "api.conf", "README"):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one")
    (directory / "osloom.toml").write_text(DEFINITION)
    project = open_project(directory / "osloom.toml")
    lockfile.save(locked(project), project.lock_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    return project


def git(directory: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=directory, check=True)


def touched(project: Project, *more: Package) -> set[str]:
    again = open_project(project.path)
    return set(changed(again, locked(again, *more), "HEAD"))


def test_nothing_has_changed(project: Project) -> None:
    assert touched(project) == set()
    (project.directory / "README").write_text("two")
    assert touched(project) == set()


@pytest.mark.parametrize(
    ("path", "images"),
    [
        ("src/main.py", {"api", "api-debug"}),
        ("src/new/file.py", {"api", "api-debug"}),
        ("api.conf", {"api", "api-debug"}),
        ("site/index.html", {"web", "more"}),
    ],
)
def test_a_file_touches_the_images_that_hold_it(
    project: Project, path: str, images: set[str]
) -> None:
    place = project.directory / path
    place.parent.mkdir(exist_ok=True)
    place.write_text("two")
    assert touched(project) == images


@pytest.mark.parametrize(
    ("path", "images"),
    [
        ("src/made.o", {"api", "api-debug"}),
        ("site/build/page.html", {"web", "more"}),
        ("build/page.html", set()),
        ("src/__pycache__/main.pyc", set()),
        ("src/lib/__pycache__/main.pyc", set()),
        ("src/.DS_Store", set()),
    ],
)
def test_a_file_that_git_ignores_touches_the_images_that_take_it(
    project: Project, path: str, images: set[str]
) -> None:
    (project.directory / "src/lib").mkdir()
    (project.directory / "src/lib/code.py").write_text("one")
    (project.directory / ".gitignore").write_text("build\n*.o\n__pycache__\n.DS_Store\n")
    git(project.directory, "add", ".")
    git(project.directory, "commit", "-qm", "two")
    place = project.directory / path
    place.parent.mkdir(exist_ok=True)
    place.write_text("two")
    assert touched(project) == images


def test_a_directory_that_git_cannot_have_touches_the_images_that_take_it(
    project: Project,
) -> None:
    (project.directory / "src/empty").mkdir()
    assert touched(project) == {"api", "api-debug"}


@pytest.mark.parametrize("link", ["site", "v0"])
def test_a_link_with_another_target_touches_the_images_that_it_leads_to(
    project: Project, link: str
) -> None:
    here = project.directory
    for name in ("v1", "v2"):
        (here / name).mkdir()
        (here / name / "index.html").write_text(name)
    shutil.rmtree(here / "site")
    (here / "v0").symlink_to("v1")
    (here / "site").symlink_to("../deploy/v0")
    git(here, "add", ".")
    git(here, "commit", "-qm", "two")
    assert touched(project) == set()
    (here / link).unlink()
    (here / link).symlink_to("v2")
    assert touched(project) == {"web", "more"}


@pytest.mark.parametrize("path", ["site/index.html", "site/made.o"])
def test_a_file_of_a_submodule_touches_the_images_that_hold_it(
    project: Project, tmp_path: Path, path: str
) -> None:
    with_submodule(project, tmp_path / "other")
    project.path.write_text(DEFINITION.replace('"site"', '"sub/site"'))
    git(project.directory, "commit", "-qam", "two")
    (project.directory / "sub/new").write_text("not taken")
    assert touched(project) == set()
    (project.directory / "sub" / path).write_text("two")
    assert touched(project) == {"web", "more"}


def test_another_commit_of_a_submodule_touches_the_images_that_take_it(
    project: Project, tmp_path: Path
) -> None:
    with_submodule(project, tmp_path / "other")
    project.path.write_text(DEFINITION.replace('"site"', '"sub/site"'))
    git(project.directory, "commit", "-qam", "two")
    (project.directory / "sub/site/index.html").write_text("two")
    git(project.directory / "sub", "commit", "-qam", "two")
    assert touched(project) == {"web", "more"}


def with_submodule(project: Project, other: Path) -> None:
    (other / "site").mkdir(parents=True)
    (other / "site/index.html").write_text("one")
    (other / ".gitignore").write_text("*.o\n")
    git(other, "init", "-q")
    git(other, "add", ".")
    git(other, "commit", "-qm", "one")
    allowed = ("-c", "protocol.file.allow=always")
    git(project.directory, *allowed, "submodule", "--quiet", "add", str(other), "sub")


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("api", {"api", "api-debug"}),
        ("api-debug", {"api-debug"}),
        ("web", {"web", "more"}),
        ("base", set()),
        (".compressors", {"api", "api-debug", "web", "more"}),
    ],
)
def test_a_package_touches_the_images_that_are_made_with_it(
    project: Project, name: str, images: set[str]
) -> None:
    assert touched(project, package(name, "2")) == images


def on_a_base(project: Project, manifest: str, *, index: str = "b") -> Lock:
    """`locked`, with a base below the image `api`."""
    base = Base(
        reference="oci:registry.example.com/base:1",
        architecture="amd64",
        index=digest(index),
        manifest=digest(manifest),
        config=digest("c"),
        config_size=1,
        layers=(),
    )
    lock = locked(project)
    images = {**lock.images, "api": replace(lock.images["api"], base=base.id)}
    return replace(lock, images=images, bases=(base,))


def with_nix(project: Project, *names: str, nar: str = "a", cache: str = "one") -> Lock:
    """`locked`, with a closure of `names` in the image `web`, which asks for the first."""
    names = tuple(f"{'0' * 32}-{name}" for name in names)
    paths = tuple(
        StorePath(
            name=name,
            nar_hash=digest(nar),
            nar_size=1,
            references=names[1:] if name == names[0] else (),
            caches=(f"https://{cache}.example.com",),
        )
        for name in names
    )
    lock = locked(project)
    web = replace(lock.images["web"], installables={"nixpkgs#web": names[:1]})
    return replace(lock, images={**lock.images, "web": web}, store_paths=paths)


def test_a_base_touches_the_images_on_it(project: Project) -> None:
    lockfile.save(on_a_base(project, "1"), project.lock_path)
    git(project.directory, "commit", "-qam", "two")
    assert set(changed(project, on_a_base(project, "1"), "HEAD")) == set()
    assert set(changed(project, on_a_base(project, "1", index="d"), "HEAD")) == set()
    assert set(changed(project, on_a_base(project, "2"), "HEAD")) == {"api", "api-debug"}
    assert set(changed(project, locked(project), "HEAD")) == {"api", "api-debug"}


def test_a_store_path_touches_the_images_that_hold_it(project: Project) -> None:
    lockfile.save(with_nix(project, "app", "library"), project.lock_path)
    git(project.directory, "commit", "-qam", "two")
    same = [with_nix(project, "app", "library", cache=one) for one in ("one", "two")]
    assert [set(changed(project, one, "HEAD")) for one in same] == [set(), set()]
    others = [
        with_nix(project, "app", "library", nar="b"),
        with_nix(project, "app", "library-2"),
        with_nix(project, "app"),
        locked(project),
    ]
    assert [set(changed(project, one, "HEAD")) for one in others] == [{"web", "more"}] * 4


@pytest.mark.parametrize(
    ("old", "new", "images"),
    [
        ('packages = ["web"]', 'packages = ["web"]\ntimezone = "UTC"', {"web", "more"}),
        (
            'packages = ["base"]',
            'packages = ["base"]\ntimezone = "UTC"',
            {"api", "api-debug", "web", "more"},
        ),
        ("debug = true", 'debug = true\nstop-signal = "SIGINT"', {"api", "api-debug"}),
        (
            "[image.base]",
            '[project]\nversion = "2"\n[image.base]',
            {"api", "api-debug", "web", "more"},
        ),
    ],
)
def test_a_setting_touches_the_images_that_have_it(
    project: Project, old: str, new: str, images: set[str]
) -> None:
    project.path.write_text(DEFINITION.replace(old, new))
    assert touched(project) == images


def test_where_there_was_no_definition_everything_is_new(project: Project) -> None:
    git(project.directory, "rm", "-q", "--cached", "osloom.toml")
    git(project.directory, "commit", "-qm", "two")
    assert touched(project) == {"api", "api-debug", "web", "more"}


def test_a_revision_that_is_not_there(project: Project) -> None:
    with pytest.raises(UsageError) as caught:
        changed(project, locked(project), "HEAD~7")
    assert caught.value.message == "cannot find the revision `HEAD~7`"


def test_a_directory_that_is_in_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot ask git about"):
        head(tmp_path)


def test_the_commit_and_whether_it_is_what_is_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = head(project.directory)
    assert len(found.name) == 40
    (project.directory / "src/main.py").write_text("two")
    assert head(project.directory) == replace(found, name=f"{found.name}-dirty")
    monkeypatch.setenv("OSLOOM_REVISION", " ")
    assert head(project.directory) == replace(found, name=f"{found.name}-dirty")
    monkeypatch.setenv("OSLOOM_REVISION", "abc 12")
    assert (head(project.directory).name, head(project.directory).time) == ("abc", 12)


@pytest.mark.parametrize("told", ["abc", "abc ²", "abc 4294967296", "abc -1", "abc 1 2", "12"])
def test_a_revision_that_is_told_wrongly_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv("OSLOOM_REVISION", told)
    with pytest.raises(UsageError) as caught:
        head(tmp_path)
    assert caught.value.message == (
        f"cannot read OSLOOM_REVISION: `{told}` is not a commit and its time"
    )


@pytest.mark.parametrize("given", ["²", "9" * 5000, "4294967296", "-1", "now", ""])
def test_an_epoch_that_is_told_wrongly_is_an_error(
    project: Project, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
    with pytest.raises(UsageError) as caught:
        project.given_epoch()
    assert caught.value.message == (
        f"cannot read SOURCE_DATE_EPOCH: `{given}` is not a number up to 4294967295"
    )
