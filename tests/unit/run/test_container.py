"""What a container starts."""

import pytest

from osloom.base.errors import UsageError
from osloom.model.definition import Oci
from osloom.run.container import program_of


@pytest.mark.parametrize(
    ("settings", "arguments", "words"),
    [
        (Oci(entrypoint=("serve",), command=("--all",)), (), ("serve", "--all")),
        (Oci(entrypoint=("serve",), command=("--all",)), ("--one",), ("serve", "--one")),
        (Oci(command=("bash",)), ("ls", "-l"), ("ls", "-l")),
    ],
)
def test_arguments_take_the_place_of_the_command(
    settings: Oci, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert program_of(settings, arguments) == words


def test_a_container_without_a_program_needs_one() -> None:
    with pytest.raises(UsageError) as caught:
        program_of(Oci(), ())
    assert caught.value.message == (
        "cannot run the container: it has neither `entrypoint` nor `command`"
    )
