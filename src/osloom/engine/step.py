"""Steps: the pure units of a build, as data.

A step names an action (a function of osloom, by name and version), its parameters (JSON), and its
inputs (blobs and trees by digest, or outputs of other steps). Nothing else reaches it, so that any
machine with the same osloom and the same blobs makes the same thing, and its key says whether that
was done before.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from osloom.base.digest import Digest, digest_json
from osloom.base.progress import Reporter, silent
from osloom.engine.tools import Tools
from osloom.keys.signer import Signer
from osloom.model.tree import Tree
from osloom.store.store import Store

Needs = Literal["data", "userns", "kvm", "key"]
"""The least a step asks of a machine: nothing but data; user namespaces; a virtual machine; a
private key, which never leaves the process that was given it."""

Signers = Mapping[str, Callable[[], Signer]]
"""What opens a key, by SHA-256 of its certificate in DER, in hexadecimal digits."""
NO_SIGNERS: Signers = MappingProxyType({})

Given = Digest | tuple[Digest, ...]


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What a step does. Make one with the decorator `action`."""

    name: str
    """`module:function`, by which a worker finds it."""
    version: int
    """Raised when the code changes what it makes."""
    needs: Needs
    is_light: Callable[["Job"], bool]
    """Whether there is so little to do that starting a process for it would be most of it."""
    run: Callable[["Job"], Mapping[str, Digest]]


def action(
    *, version: int, needs: Needs = "data", light: bool | Callable[["Job"], bool] = False
) -> Callable[[Callable[["Job"], Mapping[str, Digest]]], Action]:
    """Make an Action of a function from a job to the digests of what it made, by output name.

    `light` says whether it is, of any job or of each one.
    """
    is_light = light if callable(light) else lambda _job: light

    def make(function: Callable[["Job"], Mapping[str, Digest]]) -> Action:
        name = f"{function.__module__}:{function.__qualname__}"
        return Action(name=name, version=version, needs=needs, is_light=is_light, run=function)

    return make


class Output(msgspec.Struct, frozen=True):
    """One output of a step, to be the input of another."""

    step: "Step"
    name: str


Input = Digest | Output | tuple[Digest | Output, ...]


class Step(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True):
    """See the module. Two steps with one key are the same step."""

    action: Action
    title: str
    """For people; not in the key."""
    group: str = ""
    """For counting in the summary; not in the key."""
    weight: int = 0
    """Of steps that are as urgent the heaviest is begun first; not in the key."""
    ahead: tuple["Output", ...] = ()
    """What this step will probably take, made of what is there sooner; not in the key.

    Made while the real inputs are on their way and a machine is idle. If it turns out the same,
    the steps that it stands for find their results done.
    """
    parameters: Mapping[str, Any] = {}
    inputs: Mapping[str, Input] = {}

    @functools.cached_property
    def key(self) -> Digest:
        """Known before anything runs: inputs that steps make count by those steps' keys."""
        return self._digest({name: _name_of(given) for name, given in self.inputs.items()})

    def resolved_key(self, given: Mapping[str, Given]) -> Digest:
        """Known when the inputs are: their digests count, however they were made."""
        return self._digest(dict(given))

    def output(self, name: str = "tree") -> Output:
        return Output(self, name)

    def sources(self) -> Iterator["Step"]:
        """The steps whose outputs this one takes."""
        for given in self.inputs.values():
            for one in given if isinstance(given, tuple) else (given,):
                if isinstance(one, Output):
                    yield one.step

    def _digest(self, inputs: Mapping[str, Any]) -> Digest:
        return digest_json(
            [self.action.name, self.action.version, dict(self.parameters), dict(inputs)]
        )


def _name_of(given: Input) -> Any:
    if isinstance(given, tuple):
        return [_name_of(one) for one in given]
    return [given.step.key, given.name] if isinstance(given, Output) else given


class Job(msgspec.Struct, kw_only=True):
    """What an action is given."""

    store: Store
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Given]
    work: Path
    """An empty directory of this job's own, gone afterwards."""
    facts: dict[str, str | int] = {}
    """Small values to keep beside the outputs."""
    report: Reporter = silent
    signers: Signers = NO_SIGNERS
    """Of a step that needs a key."""

    def digest(self, name: str = "tree") -> Digest:
        given = self.inputs[name]
        assert isinstance(given, str)
        return given

    def digests(self, name: str) -> tuple[Digest, ...]:
        given = self.inputs[name]
        assert not isinstance(given, str)
        return tuple(given)

    def tree(self, name: str = "tree") -> Tree:
        return self.store.load_tree(self.digest(name))

    def trees(self, name: str) -> list[Tree]:
        return [self.store.load_tree(digest) for digest in self.digests(name)]

    def tools(self, name: str = "tools") -> Tools:
        """The programs of the input that holds the tools image's tree."""
        return Tools(self.store.checkout(self.digest(name)))
