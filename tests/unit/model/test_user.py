"""The user of a container, as the image specification writes it."""

import pytest

from osloom.base.errors import UsageError
from osloom.model.user import Identity, find_user

PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:100:101::/srv/app:/bin/sh\nbroken line\n"
GROUP = "root:x:0:\napp:x:101:\nmore:x:200:other,app\nothers:x:300:apple\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, Identity(uid=0, gid=0, home="/root")),
        ("app", Identity(uid=100, gid=101, groups=(200,), home="/srv/app")),
        ("100", Identity(uid=100, gid=101, groups=(200,), home="/srv/app")),
        ("app:more", Identity(uid=100, gid=200, home="/srv/app")),
        ("app:7", Identity(uid=100, gid=7, home="/srv/app")),
        ("65534:65534", Identity(uid=65534, gid=65534, home="/")),
        ("4000", Identity(uid=4000, gid=0, home="/")),
    ],
)
def test_names_are_looked_up_in_the_image_and_numbers_need_not_be(
    text: str | None, found: Identity
) -> None:
    assert find_user(text, passwd=PASSWD, group=GROUP) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web", "cannot run as `web`: the image has no such user"),
        ("app:web", "cannot run with the group `web`: the image has no such group"),
        ("²", "cannot run as `²`: the image has no such user"),
        ("app:²", "cannot run with the group `²`: the image has no such group"),
        ("4294967295", "cannot run as `4294967295`: the image has no such user"),
        (
            "0:" + "9" * 5000,
            f"cannot run with the group `{'9' * 5000}`: the image has no such group",
        ),
    ],
)
def test_a_name_that_the_image_does_not_have_is_an_error(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_user(text, passwd=PASSWD, group=GROUP)
    assert caught.value.message == message


@pytest.mark.parametrize("number", ["²", "9" * 5000])
def test_rows_with_strange_numbers_are_no_users(number: str) -> None:
    passwd = f"odd:x:{number}:0::/:/bin/sh\nother:x:5:{number}::/:/bin/sh\n"
    group = f"odd:x:{number}:other\n"
    assert find_user("other", passwd=passwd, group=group) == Identity(uid=5, gid=0)
    with pytest.raises(UsageError):
        find_user("odd", passwd=passwd, group=group)


def test_an_image_without_the_files_has_numbers_only() -> None:
    assert find_user("8:9", passwd="", group="") == Identity(uid=8, gid=9, home="/")
