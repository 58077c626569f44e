"""Accounts: kept whole, taken once, and their tokens good until they are taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rhetor.core.errors import BadRequest, Code
from rhetor.http.chat import accounts as module
from rhetor.http.chat.accounts import Accounts
from rhetor.http.chat.passwords import Cost, Passwords
from rhetor.store.base import Documents
from rhetor.store.memory import MemoryDocuments
from rhetor.store.sql.opening import open_store
from rhetor.testing import FakeClock

SECRET = b"canary-secret-0123456789abcdefghijklmnop"
PASSWORD = "correct horse"


@pytest.fixture(params=["memory", "sql"])
async def documents(request: pytest.FixtureRequest) -> AsyncIterator[Documents]:
    if request.param == "memory":
        yield MemoryDocuments()
        return
    store = open_store(None)
    yield store.documents
    await store.sessions.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def accounts(documents: Documents, clock: FakeClock) -> Accounts:
    return opened(documents, clock)


def opened(documents: Documents, clock: FakeClock) -> Accounts:
    async def store() -> Documents:
        return documents

    return Accounts(SECRET, store, clock, passwords=Passwords(Cost(n=2, r=1, p=1)))


async def refused(work: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        await work
    return caught.value


class TestRegistering:
    async def test_who_registers_can_sign_in_by_name_and_address(
        self, accounts: Accounts, documents: Documents, clock: FakeClock
    ) -> None:
        made = await accounts.register("Ada L.", "Ada@Example.org", PASSWORD)

        later = opened(documents, clock)
        for login in ("ada l.", " ADA L. ", "ada@example.org", "ADA@EXAMPLE.ORG"):
            found = await later.signed_in(login, PASSWORD)
            assert found == made
        assert made.email == "ada@example.org"
        assert made.created_at == clock.utc()

    async def test_the_first_one_is_like_the_others(self, accounts: Accounts) -> None:
        made = await accounts.register("admin", None, PASSWORD)

        assert (await accounts.verified(accounts.issue(made))).role == "user"

    @pytest.mark.parametrize(
        ("name", "email"),
        [("ADA", "other@example.org"), ("grace", "Ada@Example.ORG"), ("\uff21da", None)],
        ids=["name", "address", "name in other letters"],
    )
    async def test_what_is_taken_is_taken(self, accounts: Accounts, name: str, email: str | None) -> None:
        await accounts.register("ada", "ada@example.org", PASSWORD)

        assert (await refused(accounts.register(name, email, PASSWORD))).code is Code.CONFLICT

    async def test_of_two_at_the_same_time_one_gets_it(self, accounts: Accounts) -> None:
        came = await asyncio.gather(
            *(accounts.register("ada", None, f"{PASSWORD} {n}") for n in range(5)), return_exceptions=True
        )

        assert sum(isinstance(it, BadRequest) and it.code is Code.CONFLICT for it in came) == 4

    @pytest.mark.parametrize(
        ("username", "email", "password", "param"),
        [
            ("ab", None, PASSWORD, "username"),
            ("a" * 31, None, PASSWORD, "username"),
            ("ada@example.org", None, PASSWORD, "username"),
            ("ada\n", None, PASSWORD, None),
            ("a\0da", None, PASSWORD, "username"),
            ("<script>", None, PASSWORD, "username"),
            ("ada", "nobody", PASSWORD, "email"),
            ("ada", "a@" + "b" * 300, PASSWORD, "email"),
            ("ada", "a b@example.org", PASSWORD, "email"),
            ("ada", "a\u200b@example.org", PASSWORD, "email"),
            ("ada", None, "short", "password"),
            ("ada", None, "x" * 1001, "password"),
            ("ada", None, "aaaaaaaaaa", "password"),
            ("adalovelace", None, "AdaLovelace", "password"),
        ],
    )
    async def test_rules(
        self, accounts: Accounts, username: str, email: str | None, password: str, param: str | None
    ) -> None:
        if param is None:  # trimmed, as people type it
            assert (await accounts.register(username, email, password)).username == username.strip()
            return
        error = await refused(accounts.register(username, email, password))
        assert error.param == param
        assert password not in error.message


class TestSigningIn:
    @pytest.mark.parametrize(
        ("login", "password"),
        [
            ("ada", "wrong horse"),
            ("nobody", PASSWORD),
            ("nobody@example.org", PASSWORD),
            ("", PASSWORD),
            ("ada", ""),
            ("ada\0", PASSWORD),
            ("a" * 10_000, PASSWORD),
            ("ada", PASSWORD * 1000),
        ],
    )
    async def test_nobody_else_comes_in(self, accounts: Accounts, login: str, password: str) -> None:
        await accounts.register("ada", None, PASSWORD)

        assert await accounts.signed_in(login, password) is None

    async def test_passwords_are_kept_nowhere(self, accounts: Accounts, documents: Documents) -> None:
        made = await accounts.register("ada", None, PASSWORD)

        assert PASSWORD not in repr(await documents.load("account", "", made.id))
        assert made.password not in repr(made)


class TestTokens:
    async def test_one_of_nobody_is_not_good(self, accounts: Accounts, documents: Documents) -> None:
        """Its account is gone."""
        made = await accounts.register("ada", None, PASSWORD)
        token = accounts.issue(made)
        assert (await accounts.verified(token)).user_id == made.id

        await documents.remove("account", "", made.id)

        assert (await refused(accounts.verified(token))).code is Code.FORBIDDEN

    async def test_one_that_was_taken_back_is_good_no_longer(
        self, accounts: Accounts, documents: Documents, clock: FakeClock
    ) -> None:
        """Also for the next process; others of the account still are."""
        made = await accounts.register("ada", None, PASSWORD)
        gone, other = accounts.issue(made), accounts.issue(made)

        await accounts.revoke(await accounts.verified(gone))

        later = opened(documents, clock)
        assert (await refused(later.verified(gone))).code is Code.FORBIDDEN
        assert await later.verified(other)

    async def test_what_was_taken_back_is_forgotten_with_its_end(
        self, accounts: Accounts, clock: FakeClock
    ) -> None:
        made = await accounts.register("ada", None, PASSWORD)
        for _ in range(3):
            await accounts.revoke(await accounts.verified(accounts.issue(made)))
            clock.advance(20 * 3600)

        kept = await accounts.find(made.id)
        assert kept is not None
        assert len(kept.revoked) == 2

    async def test_when_too_many_are_taken_back_none_is_good(
        self, accounts: Accounts, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MOST_REVOKED", 3)
        made = await accounts.register("ada", None, PASSWORD)
        kept = accounts.issue(made)
        for _ in range(4):
            await accounts.revoke(await accounts.verified(accounts.issue(made)))

        assert (await refused(accounts.verified(kept))).code is Code.FORBIDDEN
        clock.advance(1)
        assert await accounts.verified(accounts.issue(made))
        found = await accounts.find(made.id)
        assert found is not None
        assert not found.revoked

    async def test_many_at_the_same_time_are_all_taken_back(self, accounts: Accounts) -> None:
        made = await accounts.register("ada", None, PASSWORD)
        given = [accounts.issue(made) for _ in range(10)]
        await asyncio.gather(*[accounts.revoke(await accounts.verified(token)) for token in given])

        for token in given:
            assert (await refused(accounts.verified(token))).code is Code.FORBIDDEN


class TestPreferences:
    async def test_what_is_changed_is_kept_beside_the_rest(self, accounts: Accounts) -> None:
        made = await accounts.register("ada", None, PASSWORD)

        await accounts.prefer(made.id, {"defaultModel": "small", "defaultTemperature": 0})
        await accounts.prefer(made.id, {"defaultModel": "large"})

        found = await accounts.find(made.id)
        assert found is not None
        assert found.preferences == {"defaultModel": "large", "defaultTemperature": 0}
        assert (await refused(accounts.prefer("usr_0", {}))).code is Code.NOT_FOUND
