"""How boot entries are named and sorted."""

from osloom.model.esp import entry_id, natural


def test_numbers_within_names_sort_as_numbers() -> None:
    names = ["edge_10", "edge_9", "edge_010b", "edge", "edge_" + "9" * 9999]
    assert sorted(names, key=natural) == [
        "edge",
        "edge_9",
        "edge_10",
        "edge_010b",
        "edge_" + "9" * 9999,
    ]


def test_counters_are_no_part_of_an_entry_s_name() -> None:
    names = ["EFI/Linux/edge_7+3-0.efi", "edge_7+3.efi", "edge_7.efi", "edge+x.efi"]
    assert [entry_id(one) for one in names] == ["edge_7.efi"] * 3 + ["edge+x.efi"]
