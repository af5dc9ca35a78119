"""The verbs, in the order of the help: one module each."""

from osloom.cli.verbs import (
    build,
    cache,
    completions,
    doctor,
    init,
    inspect,
    load,
    lock,
    outdated,
    pull,
    push,
    run,
    schema,
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
    test,
    verify,
    push,
    pull,
    load,
    inspect,
    why,
    cache,
    schema,
    doctor,
    completions,
)
