"""Names for things that have none."""

import re

from rhetor.core.ids import AT_ONCE, new_id


def test_ids_are_unlike_and_look_alike() -> None:
    """Also those that come from different calls of the kernel."""
    ids = [new_id("gen") for _ in range(3 * AT_ONCE)]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"gen_[0-9a-f]{24}", id) for id in ids)
