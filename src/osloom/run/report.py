"""What a test run found, for people and for machines (JUnit XML)."""

from collections.abc import Sequence
from typing import Literal
from xml.etree import ElementTree as ET

import msgspec

Verdict = Literal["passed", "failed", "skipped"]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One check on one output of one image."""

    image: str
    output: str
    name: str
    verdict: Verdict
    seconds: float = 0.0
    message: str = ""
    """Why it failed or was skipped."""
    detail: str = ""
    """What it printed."""


def has_failed(cases: Sequence[Case]) -> bool:
    return any(case.verdict == "failed" for case in cases)


def junit(cases: Sequence[Case]) -> bytes:
    """A JUnit report as most CI systems read it: one suite for each output of an image."""
    root = ET.Element("testsuites")
    for image, output in dict.fromkeys((case.image, case.output) for case in cases):
        own = [case for case in cases if (case.image, case.output) == (image, output)]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=f"{image}.{output}",
            tests=str(len(own)),
            failures=str(sum(case.verdict == "failed" for case in own)),
            skipped=str(sum(case.verdict == "skipped" for case in own)),
            time=f"{sum(case.seconds for case in own):.3f}",
        )
        for case in own:
            _add_case(suite, case)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add_case(suite: ET.Element, case: Case) -> None:
    element = ET.SubElement(
        suite,
        "testcase",
        classname=f"{case.image}.{case.output}",
        name=_clean(case.name),
        time=f"{case.seconds:.3f}",
    )
    if case.verdict == "failed":
        failure = ET.SubElement(element, "failure", message=_clean(case.message))
        failure.text = _clean(case.detail)
    elif case.verdict == "skipped":
        ET.SubElement(element, "skipped", message=_clean(case.message))
    elif case.detail:
        ET.SubElement(element, "system-out").text = _clean(case.detail)


def _clean(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return "".join(letter for letter in text if letter in "\t\n" or ord(letter) >= 32)
