"""What a TPM holds: as systemd-measure(1) of systemd 257 calculated it for the same sections."""

import hashlib
import json

from osloom.model.blocks import blocks_of
from osloom.model.measured import PHASES, kernel_boot, policies, section_digests, signed_policies
from osloom.model.profiles import MAIN

SECTIONS = {
    ".sbat": b"sbat,1\n",
    ".linux": b"a kernel",
    ".osrel": b"ID=test\n",
    ".cmdline": b"quiet",
    ".initrd": b"i" * 100_000,
    ".uname": b"6.12",
    ".pcrpkey": b"a key",
    ".text": b"code, which is not measured",
}
VALUES = [
    "304b8d3191b7aa3c0520e2d6c6859ce082b2c4b7b0be45870ae2b820865a773f",
    "721c5ce44c0c7612807a124cd7ed57dded282a8f3096018be54cc861bd2a8b73",
    "81f8e985e2215d45af472a312fe9943bc022b5b546ab5326560b4e2335627076",
    "7053c3951b0941de3d48225bde1ff46187b028457537d5bdb473cfb1c3fe4a97",
]
POLICIES = [
    "f191e381639f4476cb3dd12e15a49346d2c8996bd9627e23653d6d819ad4eddc",
    "abe5869e0ce722ff25ef84b83dab91f0ff10cc20289e3da03aec1abd8ab33841",
    "769956e71b659bf75c3c083647779c6a18652f3972068cf121e391bb64718310",
    "ecb4f4471fc7590a02a52e7bb7dde545e25ded69f47556bbb298e6ed60abab77",
]
PROFILE = "99a73777bba1536d7657106bb7939ee88872878f1f0573a0b264d74ea21dfee2"
"""The first of them with the section `.profile` of what starts by itself."""


def value(**more: bytes) -> bytes:
    sections = {**SECTIONS, **{f".{name}": text for name, text in more.items()}}
    return kernel_boot(section_digests({name: blocks_of(text) for name, text in sections.items()}))


def test_its_profile_is_measured() -> None:
    phase = hashlib.sha256(PHASES[0].encode()).digest()
    assert hashlib.sha256(value(profile=MAIN) + phase).hexdigest() == PROFILE


def test_every_phase_has_the_value_that_systemd_expects() -> None:
    found, current = [], value()
    for phase in PHASES:
        current = hashlib.sha256(current + hashlib.sha256(phase.encode()).digest()).digest()
        found.append(current.hex())
    assert found == VALUES


def test_its_policy_is_that_of_systemd() -> None:
    assert [one.hex() for one in policies(value())] == POLICIES


def test_every_policy_is_signed_for_the_key() -> None:
    made = json.loads(signed_policies(value(), b"public", lambda data: b"signed " + data[:1]))
    assert [one["pol"] for one in made["sha256"]] == POLICIES
    assert {one["pkfp"] for one in made["sha256"]} == {hashlib.sha256(b"public").hexdigest()}
    assert made["sha256"][0]["sig"] == "c2lnbmVkIPE="
    assert made["sha256"][0]["pcrs"] == [11]
