"""What a session begins with."""

from __future__ import annotations

import pytest

from rhetor.core.errors import BadRequest, Code
from rhetor.sessions.asking import NewSession
from rhetor.sessions.backend import Permissions
from rhetor.sessions.founding import Defaults, document_of, id_of, model_of
from tests.sessions.scripted import Scripted


def test_a_key_is_the_owners_own() -> None:
    ids = {
        id_of(NewSession(owner=owner, key=key))
        for owner, key in (("ann", "k"), ("bob", "k"), ("ann", "k2"), ("", "annk"), ("annk", ""))
    }
    assert len(ids) == 5
    assert id_of(NewSession(owner="ann", key="k")) == id_of(NewSession(owner="ann", key="k", title="other"))


def test_without_a_key_every_session_is_another() -> None:
    assert id_of(NewSession(owner="")) != id_of(NewSession(owner=""))


@pytest.mark.parametrize(("asked", "got"), [("", "m1"), ("auto", "m1"), ("m2", "m2")])
def test_the_model_is_one_of_the_backends(asked: str, got: str) -> None:
    backend = Scripted()
    backend.models = ("m1", "m2")
    assert model_of(NewSession(owner="", model=asked), backend) == got


def test_another_model_is_not_found() -> None:
    backend = Scripted()
    backend.models = ("m1", "m2")
    with pytest.raises(BadRequest, match="m1, m2") as caught:
        model_of(NewSession(owner="", model="m3"), backend)
    assert caught.value.code is Code.MODEL_NOT_FOUND


@pytest.mark.parametrize(
    ("wanted", "most", "got"), [(None, None, None), (5, None, 5), (None, 9, 9), (5, 9, 5), (50, 9, 9)]
)
def test_a_session_has_no_more_turns_than_its_backend(
    wanted: int | None, most: int | None, got: int | None
) -> None:
    new = NewSession(owner="", max_turns=wanted)
    document = document_of(new, "agent", "m", "/d", {"agent": Defaults(max_turns=most)}, None)
    assert document["max_turns"] == got


def test_what_may_be_secret_is_not_stored() -> None:
    new = NewSession(owner="", environment={"API_KEY": "canary"}, permissions=Permissions.PLAN)
    document = document_of(new, "agent", "m", "/d", {}, None)
    assert "canary" not in str(document)
    assert document["permissions"] == "plan"
