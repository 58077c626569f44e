"""Values compare and hash by what they are."""

from rhetor.core.usage import Usage


def test_equal_values_are_one_key() -> None:
    assert {Usage(1, 2): "a"}[Usage(1, 2)] == "a"
    assert Usage(1, 2) != Usage(2, 1)


def test_values_have_no_room_for_more() -> None:
    assert not hasattr(Usage(), "__dict__")
