"""Which output of an image runs."""

import pytest

from osloom.api.run import choose_output
from osloom.base.errors import UsageError
from osloom.model.definition import Format, Image


@pytest.mark.parametrize(
    ("outputs", "wanted", "chosen"),
    [
        (("oci", "nspawn", "disk"), None, "disk"),
        (("oci", "nspawn"), None, "nspawn"),
        (("tar", "oci"), None, "oci"),
        (("oci", "nspawn", "disk"), "oci", "oci"),
        (("oci", "nspawn", "disk"), "nspawn", "nspawn"),
    ],
)
def test_the_disk_comes_first_unless_another_is_named(
    outputs: tuple[Format, ...], wanted: str | None, chosen: str
) -> None:
    assert choose_output("web", Image(outputs=outputs), wanted) == chosen


@pytest.mark.parametrize("wanted", ["disk", "tar", "no such"])
def test_an_output_that_is_not_there_or_cannot_run_names_those_that_can(wanted: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_output("web", Image(outputs=("tar", "nspawn", "oci")), wanted)
    assert caught.value.message == (
        f"cannot run `web` as `{wanted}`: it has no such output that can run"
    )
    assert caught.value.hint == "there are: nspawn, oci"


def test_an_image_without_an_output_that_can_run_says_which_ones_could() -> None:
    with pytest.raises(UsageError) as caught:
        choose_output("web", Image(outputs=("tar", "uki")), None)
    assert caught.value.message == "cannot run `web`: it has no output that can run"
    assert caught.value.hint == "add one of them to its `outputs`: disk, nspawn, oci"
