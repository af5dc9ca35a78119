"""Users and groups."""

import pytest

from osloom.base.errors import BuildError
from osloom.compose.accounts import Accounts
from osloom.model.definition import Group, User

EPOCH = 1_700_000_000


def test_a_user_gets_a_number_a_group_and_a_locked_password() -> None:
    accounts = Accounts.parse({})
    accounts.add_group("wheel", Group(system=True))
    accounts.add_user("anna", User(groups=("wheel",)), epoch=EPOCH)
    files = accounts.files()
    assert files["passwd"].splitlines()[-1] == "anna:x:1000:1000::/home/anna:/bin/bash"
    assert files["group"].splitlines()[1:] == ["wheel:x:999:anna", "anna:x:1000:"]
    assert files["shadow"].splitlines()[-1] == "anna:!*:19675:0:99999:7:::"


def test_a_system_user_has_no_home_and_no_shell() -> None:
    accounts = Accounts.parse({})
    accounts.add_user("app", User(system=True), epoch=EPOCH)
    assert accounts.files()["passwd"].splitlines()[-1] == (
        "app:x:999:999::/nonexistent:/usr/sbin/nologin"
    )
    assert accounts.homes == []


def test_a_password_counts_also_where_base_passwd_made_the_account() -> None:
    accounts = Accounts.parse({"passwd": "root:*:0:0:root:/root:/bin/bash\n"})
    accounts.add_user("root", User(password="$6$salt$hash"), epoch=EPOCH)
    files = accounts.files()
    assert files["passwd"] == "root:x:0:0:root:/root:/bin/bash\n"
    assert files["shadow"] == "root:$6$salt$hash:::::::\n"


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (User(uid=0), "cannot make user `anna`: number 0 belongs to `root`"),
        (User(groups=("rot",)), "cannot find the group `rot` in the image"),
        (User(password="hunter2"), "cannot set the password of `anna`: it is not a crypt(5) hash"),
    ],
)
def test_what_cannot_be_is_said(user: User, message: str) -> None:
    with pytest.raises(BuildError) as caught:
        Accounts.parse({}).add_user("anna", user, epoch=EPOCH)
    assert caught.value.message == message


BASE = {
    "passwd": "root:x:0:0:root:/root:/bin/ash\n\nweb:x:33:33::/srv\n+::::::\nbroken\nbad:x:y:0:::\n",
    "group": "root:x:0:root\nweb:x:33\n",
    "shadow": "root:!::0:::::\n",
}


def test_accounts_of_a_base_stay_whatever_they_look_like() -> None:
    accounts = Accounts.parse(BASE)
    accounts.add_user("app", User(uid=1500, groups=("web",)), epoch=EPOCH)
    accounts.add_user("web", User(shell="/bin/sh"), epoch=EPOCH)
    files = accounts.files()
    assert files["passwd"].splitlines() == [
        "root:x:0:0:root:/root:/bin/ash",
        "web:x:33:33::/srv:/bin/sh",
        "app:x:1500:1500::/home/app:/bin/bash",
        "+::::::",
        "broken",
        "bad:x:y:0:::",
    ]
    assert files["group"].splitlines() == ["root:x:0:root", "web:x:33:app", "app:x:1500:"]
    assert files["shadow"].splitlines() == [
        "root:!::0:::::",
        "app:!*:19675:0:99999:7:::",
        "web:!*:19675:0:99999:7:::",
    ]


def test_a_number_of_a_base_is_taken() -> None:
    with pytest.raises(BuildError) as caught:
        Accounts.parse(BASE).add_user("app", User(uid=33), epoch=EPOCH)
    assert caught.value.message == "cannot make user `app`: number 33 belongs to `web`"


@pytest.mark.parametrize("number", ["9" * 5000, "²"])
def test_a_row_of_a_base_without_a_usable_number_stays_as_it_is(number: str) -> None:
    row = f"odd:x:{number}:0::/:/bin/sh"
    accounts = Accounts.parse({"passwd": f"{row}\n"})
    accounts.add_user("app", User(uid=1500), epoch=EPOCH)
    assert accounts.files()["passwd"].splitlines()[-1] == row


@pytest.mark.parametrize("owner", ["²", "4294967295", "9" * 5000])
def test_an_owner_that_is_no_number_is_looked_for_by_name(owner: str) -> None:
    with pytest.raises(BuildError) as caught:
        Accounts.parse(BASE).uid(owner)
    assert caught.value.message == f"cannot find the user `{owner}` in the image"
