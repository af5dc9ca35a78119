"""A shell with debug tools in the container of an image."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from osloom.api.container import ContainerOptions, built_container, debug_tools, wishes_for
from osloom.api.run import Start
from osloom.api.session import Session
from osloom.base.errors import UsageError
from osloom.run import container


def prepare_shell(
    session: Session, name: str, command: Sequence[str], options: ContainerOptions, work: Path
) -> Start:
    """Build what it takes to run `command` in the container, or a shell of the debug tools.

    It is root unless `options` say otherwise, whoever the image's program is. `work` has to be
    there for as long as it runs.
    """
    image = session.project.image(name)
    if "oci" not in image.outputs:
        raise UsageError(
            f"cannot open a shell in `{name}`: it has no output `oci`",
            hint="`osloom run` starts its console",
        )
    made = built_container(session, name, image)
    words = list(command) or [f"{container.DEBUG}/usr/bin/bash", "--norc"]
    own = container.debug_environment(session.store, made)
    if not command and os.isatty(0):
        own["PS1"] = f"{name}:\\w\\$ "
    # Its program does not start: nothing would answer on the ports that the image names.
    forwards = options.forwards or ()
    chosen = msgspec.structs.replace(
        options,
        forwards=forwards,
        user=options.user or "0",
        environment={**own, **options.environment},
    )
    wishes = msgspec.structs.replace(
        wishes_for(session, made, chosen, words),
        debug=debug_tools(session, image),
        # An interactive shell waits for its children itself, and stops and continues them.
        init=bool(command),
    )
    return partial(container.start, session.store, made, wishes, work)
