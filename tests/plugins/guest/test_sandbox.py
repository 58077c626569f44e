"""What is enforced is known, and said; and what must be is refused where it cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.plugins.guest import kernel
from rhetor.plugins.guest.sandbox import NO_MEANS, Means, Sandbox, is_confined, make_order, what_is_enforced
from rhetor.plugins.guest.spec import Limits
from tests.plugins.guest.guests import PARROTS, Guests

PARROT = PARROTS["python"]
CALLER = replace(PARROT, hosts=("api.example.com",))
FULL = Means(namespaces=True, landlock=7, filter=True, own_user=True)
LANDLOCK = Means(namespaces=False, why_not="a container", landlock=7, filter=True)


@pytest.mark.parametrize(
    ("means", "way", "confined", "with_hosts"),
    [
        (FULL, "namespaces", True, True),
        (Means(namespaces=True, filter=True), "namespaces", True, True),
        (LANDLOCK, "landlock", True, True),
        (replace(LANDLOCK, landlock=3), "landlock", True, False),
        (replace(LANDLOCK, filter=False), "none", False, False),
        (replace(LANDLOCK, landlock=0), "none", False, False),
        (NO_MEANS, "none", False, False),
    ],
)
def test_what_is_confined(means: Means, way: str, confined: bool, with_hosts: bool) -> None:
    assert means.way == way
    assert (is_confined(means, PARROT), is_confined(means, CALLER)) == (confined, with_hosts)


def test_it_is_said_what_is_enforced_and_what_is_not() -> None:
    full = {fact.what: fact for fact in what_is_enforced(FULL, CALLER)}
    assert all(fact.enforced for fact in full.values())
    assert full["network"].how == "only api.example.com, by the gateway's proxy"
    assert all(fact.enforced for fact in what_is_enforced(LANDLOCK, PARROT) if fact.what == "network")
    leaky = next(fact for fact in what_is_enforced(LANDLOCK, CALLER) if fact.what == "network")
    assert (leaky.enforced, "which it may also reach on other machines" in leaky.how) == (False, True)
    none = {fact.what: fact.enforced for fact in what_is_enforced(NO_MEANS, CALLER)}
    assert none == {**dict.fromkeys(none, False), "environment": True, "memory": none["memory"]}


async def test_a_guest_that_must_be_confined_and_cannot_be_does_not_run(guests: Guests) -> None:
    guest = guests.make(means=replace(NO_MEANS, why_not="a test"))
    for attempt in (guest.transport.prepare(), guest.ask("m")):
        with pytest.raises(RhetorError, match=r"cannot be confined .*\(a test\).*plugins.sandbox") as caught:
            await attempt
        assert caught.value.code is Code.UNAVAILABLE
    assert guest.transport.starts == 0


async def test_a_guest_that_is_trusted_runs_as_it_can(guests: Guests) -> None:
    guest = guests.make(means=NO_MEANS, best=True)
    assert (await guest.ask("counts", "2")).text == "0 1 "
    assert not {fact.what: fact.enforced for fact in await guest.transport.enforced()}["files"]


async def test_the_means_are_found_by_trying(guests: Guests) -> None:
    sandbox = Sandbox(guests.house)
    means = await sandbox.means()
    assert means is await sandbox.means()
    assert means.landlock == kernel.landlock_abi()
    assert means.namespaces or means.why_not


async def test_a_jail_that_cannot_be_made_says_why(guests: Guests, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs with less than was ordered."""
    monkeypatch.setattr("rhetor.plugins.guest.launch.make_order", _without_root)
    guest = guests.make(means=Means(namespaces=True, filter=True))
    with pytest.raises(RhetorError, match="did not start: it ended with 97: sandbox: cannot mount tmpfs"):
        await guest.ask("m")


def _without_root(means: Means, root: object, *rest: object, **said: object) -> bytes:
    return make_order(means, "/not/there", *rest, **said)  # type: ignore[arg-type]


def test_an_order_says_as_little_as_possible() -> None:
    order = make_order(LANDLOCK, PARROT.folder, ("x",), "/", {}, (), Limits())
    assert b'"filter": "none"' in order
    assert b'"filter": "tcp"' in make_order(
        LANDLOCK, PARROT.folder, ("x",), "/", {}, (), Limits(), has_hosts=True
    )
    assert b'"filter": ""' in make_order(NO_MEANS, PARROT.folder, ("x",), "/", {}, (), Limits())
