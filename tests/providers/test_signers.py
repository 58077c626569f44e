"""Who signs the calls of a provider that has no key."""

from __future__ import annotations

import pytest

from rhetor.providers import signers
from rhetor.providers.builtin import load_builtin
from rhetor.providers.offline import OfflineTransport
from rhetor.providers.places import placed
from rhetor.providers.signers import out_of_reach, signed
from rhetor.transport.signing import Signed

ROWS = load_builtin()
PLACE = {"AWS_REGION": "eu-west-1", "GOOGLE_CLOUD_PROJECT": "lab", "GOOGLE_CLOUD_LOCATION": "global"}


@pytest.mark.parametrize(
    ("row", "keyed", "signs"),
    [("vertex", False, True), ("bedrock", False, True), ("bedrock", True, False), ("openai", False, False)],
)
def test_only_where_the_row_says_so_and_without_a_key(row: str, keyed: bool, signs: bool) -> None:
    transport = OfflineTransport()
    made = signed(transport, placed(ROWS[row], {}, PLACE, moved=False), {}, keyed)
    assert isinstance(made, Signed) == signs
    assert signs or made is transport


def test_what_is_missing_beside_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    vertex = ROWS["vertex"]
    assert "no project" in (out_of_reach(vertex, {}, keyed=False) or "")
    here = placed(vertex, {}, PLACE, moved=False)
    assert out_of_reach(here, PLACE, keyed=False) is None
    monkeypatch.setattr(signers, "lacking", lambda scheme: f"{scheme} is not installed")
    assert out_of_reach(here, PLACE, keyed=False) == "google is not installed"
    assert out_of_reach(ROWS["openai"], PLACE, keyed=False) is None
