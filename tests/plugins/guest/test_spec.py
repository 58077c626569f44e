"""What is known of a code provider before it runs."""

from __future__ import annotations

import pytest

from rhetor.core.errors import BadRequest
from rhetor.plugins.guest.spec import Limits, Most, capped, checked_requirements


@pytest.mark.parametrize(
    "requirement",
    [
        "cowsay",
        "cowsay==6.1",
        "a-b.c_d >= 1.0, <2",
        "x[extra, other]~=1.0",
        'tomli>=1; python_version < "3.11"',
        "x==1.*",
    ],
)
def test_packages_of_the_index(requirement: str) -> None:
    assert checked_requirements((f" {requirement} ",)) == (requirement,)


@pytest.mark.parametrize(
    "requirement",
    [
        *("", "-e .", "--index-url=https://evil", "-r other.txt", ".", "/etc", "./x", "git+https://x/y"),
        *("x @ https://evil/x.whl", "https://evil/x.whl", "x; y @ z", "x\n--pre", "file:x", "x==1 --hash=y"),
    ],
)
def test_nothing_else(requirement: str) -> None:
    with pytest.raises(BadRequest, match="expected a package with its version"):
        checked_requirements((requirement,))


def test_packages_for_javascript() -> None:
    good = ("cowsay@1.6.0", "@scope/x@^2.0.0", "x")
    assert checked_requirements(good, "javascript") == good
    for bad in (
        "--registry=x",
        "file:x",
        "../x",
        "git+https://x",
        "github:a/b",
        "a/b",
        "",
        "https://x/y.tgz",
        "x@npm:y",
    ):
        with pytest.raises(BadRequest, match=r"such as 'cowsay@1\.6\.0'"):
            checked_requirements((bad,), "javascript")


def test_nobody_gets_more_than_the_operator_gives() -> None:
    """No limit at all is more than any; who asks for less gets that."""
    asked = Limits(memory_mb=1 << 20, processes=8, idle_stop_s=None, calls=500)
    held, lowered = capped(asked, Most(memory_mb=4096, processes=64, cpu_s=60, idle_stop_s=600))
    assert held == Limits(memory_mb=4096, processes=8, cpu_s=60, idle_stop_s=600, calls=500)
    assert lowered == {"memory_mb": (1 << 20, 4096), "cpu_s": (None, 60), "idle_stop_s": (None, 600)}
    assert capped(asked, Most()) == (asked, {})
