"""The verbs, in the order of the help: one module each."""

from osloom.cli.verbs import build, cache, inspect, lock, run, test, verify, why

VERBS = (lock, build, run, test, verify, inspect, why, cache)
