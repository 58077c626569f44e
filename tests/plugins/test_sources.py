"""What people write for a source, and what it means; what would be another program tomorrow is refused."""

from __future__ import annotations

import pytest

from rhetor.core.errors import BadRequest
from rhetor.plugins.sources import Kind, parse_source

COMMIT = "7d3e86ee59b39e0f3410126de67b7d3a45be2551"
GITHUB = "https://github.com/o/r.git"
GITLAB = "https://gitlab.com/a/b/r.git"
MEANT = {
    "github:o/r@v1": (Kind.GIT, GITHUB, "v1", "", True),
    f"github:o/r@{COMMIT}": (Kind.GIT, GITHUB, COMMIT, "", True),
    "github:o/r@feature/x#examples/cow": (Kind.GIT, GITHUB, "feature/x", "examples/cow", True),
    "https://github.com/o/r@v1": (Kind.GIT, GITHUB, "v1", "", True),
    "https://github.com/o/r.git@v1": (Kind.GIT, GITHUB, "v1", "", True),
    "https://github.com/o/r/tree/v1": (Kind.GIT, GITHUB, "v1", "", True),
    "git+https://gitlab.com/a/b/r.git@refs/tags/v1": (Kind.GIT, GITLAB, "refs/tags/v1", "", True),
    "git+https://host:8443/r@v1": (Kind.GIT, "https://host:8443/r", "v1", "", True),
    "git+file:///srv/r@v1": (Kind.GIT, "file:///srv/r", "v1", "", False),
    "npm:cow": (Kind.NPM, "cow", "", "", True),
    "npm:cow@1.2.3": (Kind.NPM, "cow", "1.2.3", "", True),
    "npm:@herd/cow@1.2.3": (Kind.NPM, "@herd/cow", "1.2.3", "", True),
    "@herd/cow": (Kind.NPM, "@herd/cow", "", "", True),
    "python:rhetor-cow": (Kind.PYTHON, "rhetor-cow", "", "", False),
    "/srv/cow": (Kind.FOLDER, "/srv/cow", "", "", False),
    "./cow": (Kind.FOLDER, "cow", "", "", False),
    "file:///srv/a%20cow": (Kind.FOLDER, "/srv/a cow", "", "", False),
}  # fmt: skip


@pytest.mark.promise("M01", "M02", "M03")
@pytest.mark.parametrize(("said", "meant"), MEANT.items(), ids=MEANT)
def test_a_source_means(said: str, meant: tuple[Kind, str, str, str, bool]) -> None:
    source = parse_source(said)
    assert (source.kind, source.place, source.ref, source.below, source.remote) == meant


REFUSED = {
    "": "no source; write github:",
    "github:o/r": "says no ref, so it would be another program every day; write github:o/r@ and a tag",
    "github:o/r@": "says no ref",
    "https://github.com/o/r": "says no ref",
    "git+file:///srv/r": "says no ref",
    "github:o": "names no repository",
    "github:o/r/x@v1": "names no repository",
    "github:../r@v1": "names no repository",
    "github:o/r@--upload-pack=x": "is no ref",
    "github:o/r@a..b": "is no ref",
    "github:o/r@v1@{1}": "is no ref",
    "github:o/r@v1#../x": "leads out of the repository",
    "https://gitlab.com/o/r@v1": "may be anything; for a repository write git+https://",
    "http://github.com/o/r@v1": "may be anything",
    "git+http://host/r@v1": "it is not encrypted",
    "git+ssh://git@host/r@v1": "it would need your keys",
    "git+https://u:p@host/r@v1": "a source holds no user or password",
    "git+https:///r@v1": "is no address",
    "git+https://host@v1": "a source holds no user",
    "npm:Cow": "names no package",
    "npm:cow@file:../x": "names no package",
    "npm:cow@^1": "names no package",
    "npm:--help": "names no package",
    "python:../x": "names no package",
    "file://host/x": "names another machine",
    "o/r@v1": "is no folder; for a repository write github:o/r@v1",
    "a\nb": "no source",
}


@pytest.mark.parametrize(("said", "why"), REFUSED.items(), ids=REFUSED)
def test_a_source_is_refused(said: str, why: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_source(said)
    assert why in caught.value.message


def test_the_same_source_at_another_ref() -> None:
    assert parse_source("github:o/r@v1#cow").at("v2").said == "github:o/r@v2#cow"
    assert parse_source("git+https://h/r.git@a/b").at("v2").place == "https://h/r.git"
    assert parse_source("npm:@herd/cow").at("2.0.0").said == "npm:@herd/cow@2.0.0"
