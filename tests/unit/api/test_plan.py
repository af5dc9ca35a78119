"""Which formats can be asked for."""

import pytest

from osloom.api.plan import chosen_formats
from osloom.base.errors import UsageError
from osloom.model.definition import Image


@pytest.mark.parametrize(
    ("image", "formats", "message"),
    [
        (Image(), ("tarr",), "cannot make `tarr` of `a`: no such output"),
        (
            Image(architectures=("amd64", "arm64"), outputs=("oci",)),
            ("tar",),
            "cannot make `tar` of `a`: it is a container for several architectures",
        ),
        (Image(), ("sysext",), "cannot make `sysext` of `a`: it is no extension"),
        (Image(outputs=("sysext",)), ("tar",), "cannot make `tar` of `a`: it is an extension"),
        (
            Image(debug_of="b", outputs=("oci",)),
            ("disk",),
            "cannot make `disk` of `a`: it is a container for debugging",
        ),
    ],
)
def test_a_format_that_an_image_cannot_have_is_named(
    image: Image, formats: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        chosen_formats("a", image, formats)
    assert caught.value.message == message


def test_formats_that_are_asked_for_go_before_the_definition_s() -> None:
    image = Image(outputs=("oci",))
    assert chosen_formats("a", image, ()) == ("oci",)
    assert chosen_formats("a", image, ("tar",)) == ("tar",)
