"""The verbs, in the order of the help: one module each."""

from osloom.cli.verbs import (
    build,
    cache,
    completions,
    doctor,
    init,
    inspect,
    lock,
    outdated,
    run,
    schema,
    shell,
    test,
    verify,
    why,
)

VERBS = (
    init,
    lock,
    outdated,
    build,
    run,
    shell,
    test,
    verify,
    inspect,
    why,
    cache,
    schema,
    doctor,
    completions,
)
