"""Bundles as data; whether crun takes them, `tests/integration/test_run.py` sees."""

from msgspec.structs import replace

from osloom.model.user import Identity
from osloom.run.bundle import Bundle, Mount, configuration

BUNDLE = Bundle(
    root="/work/merged",
    words=["/app", "--serve"],
    user=Identity(uid=1000, gid=1001, groups=(5,)),
    environment={"A": "b=c"},
    directory="/srv",
)


def test_the_process_is_what_the_image_says() -> None:
    process = configuration(BUNDLE)["process"]
    assert process["args"] == ["/app", "--serve"]
    assert process["env"] == ["A=b=c"]
    assert process["cwd"] == "/srv"
    assert process["user"] == {"uid": 1000, "gid": 1001, "additionalGids": [5]}
    assert process["noNewPrivileges"] is True


def test_a_terminal_has_the_size_of_the_callers() -> None:
    assert configuration(BUNDLE)["process"]["terminal"] is False
    process = configuration(replace(BUNDLE, terminal=(80, 24)))["process"]
    assert (process["terminal"], process["consoleSize"]) == (True, {"width": 80, "height": 24})


def test_no_capabilities_are_none_of_any_kind() -> None:
    found = configuration(replace(BUNDLE, capabilities=False))["process"]["capabilities"]
    assert found == {"bounding": [], "effective": [], "permitted": []}


def test_a_read_only_root_has_a_place_for_temporary_files() -> None:
    def places(bundle: Bundle) -> list[str]:
        return [one["destination"] for one in configuration(bundle)["mounts"]]

    closed = replace(BUNDLE, read_only=True)
    assert configuration(closed)["root"] == {"path": "/work/merged", "readonly": True}
    assert set(places(closed)) - set(places(BUNDLE)) == {"/tmp"}


def test_mounts_of_the_caller_come_after_those_of_the_kernel() -> None:
    mount = Mount(source="/data", destination="/srv", read_only=True)
    *_, last = configuration(replace(BUNDLE, mounts=[mount]))["mounts"]
    assert (last["source"], last["destination"]) == ("/data", "/srv")
    assert "ro" in last["options"]


def test_one_id_has_no_group_of_terminals() -> None:
    def options(bundle: Bundle) -> list[str]:
        found = configuration(bundle)["mounts"]
        return next(one["options"] for one in found if one["type"] == "devpts")

    assert "gid=5" in options(BUNDLE)
    assert "gid=5" not in options(replace(BUNDLE, many_ids=False))
