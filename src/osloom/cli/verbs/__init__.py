"""The verbs, in the order of the help: one module each."""

from osloom.cli.verbs import build, lock, run, test

VERBS = (lock, build, run, test)
