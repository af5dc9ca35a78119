"""The verbs, in the order of the help: one module each."""

from osloom.cli.verbs import build, lock

VERBS = (lock, build)
