"""Where a plugin may come from: what people write, taken apart. Nothing is fetched here."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from rhetor.core.errors import BadRequest, Code
from rhetor.core.value import value

LONGEST = 1_000  # characters
GITHUB = "github.com"
NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?"
REF = re.compile(r"(?!-)(?!.*(?:\.\.|@\{|//|\.lock$))[A-Za-z0-9._/+@-]{1,200}(?<![./])")
"""What git takes for a name, and a few characters fewer: https://git-scm.com/docs/git-check-ref-format
(read 2026-11-21)."""
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
NPM = re.compile(
    r"(?P<name>(?:@[a-z0-9~][a-z0-9._~-]*/)?[a-z0-9~][a-z0-9._~-]*)(?:@(?P<version>[0-9A-Za-z._+-]+))?"
)
"""A name, with its scope if it has one, and a version or a tag: the first @ belongs to the scope."""
PYTHON = re.compile(NAME)
FORMS = (
    "write github:owner/repo@ref, git+https://host/repo.git@ref, a folder, python:package or "
    "npm:package@version"
)


class Kind(StrEnum):
    GIT = "git"
    FOLDER = "folder"
    PYTHON = "python"
    NPM = "npm"


@value(kw_only=True)
class Source:
    """What somebody wrote, and what it means."""

    said: str
    """As it is shown and kept."""
    kind: Kind
    place: str
    """A repository's URL, a folder, or a package."""
    ref: str = ""
    """A repository's commit, tag or branch; a package's version, empty for the newest."""
    below: str = ""
    """The folder of the repository that is the plugin; empty: all of it."""

    @property
    def remote(self) -> bool:
        """Whether it comes from another machine."""
        return self.kind is Kind.NPM or (self.kind is Kind.GIT and not self.place.startswith("file:"))

    @property
    def is_commit(self) -> bool:
        return COMMIT.fullmatch(self.ref) is not None

    def at(self, ref: str) -> Source:
        """The same, at another ref."""
        bare = self.said.partition("#")[0].removesuffix(f"@{self.ref}") if self.ref else self.said
        below = f"#{self.below}" if self.below else ""
        return parse_source(f"{bare}@{ref}{below}")


def parse_source(said: str) -> Source:
    """What is meant.

    Raises:
        BadRequest: it means nothing, lacks its ref, or is a way that we do not go.
    """
    said = said.strip()
    if not said or len(said) > LONGEST or not said.isprintable():
        raise _wrong("no source", FORMS)
    scheme, colon, rest = said.partition(":")
    match scheme.lower() if colon else "":
        case "github":
            return _github(said, rest)
        case "git+https" | "git+http" | "git+file" | "git+ssh" | "git":
            return _git(said, said.removeprefix("git+"))
        case "https" | "http":
            return _web(said)
        case "npm":
            return _npm(said, rest)
        case "python" | "pypi":
            return _python(said, rest)
        case "file":
            return _folder(said, unquote(urlsplit(said).path))
    if said.startswith("@") and "/" in said:
        return _npm(said, said)
    if re.fullmatch(rf"{NAME}/{NAME}@[^/]+", said) and not Path(said).exists():
        raise _wrong(f"{said!r} is no folder", f"for a repository write github:{said}")
    return _folder(said, said)


def _github(said: str, rest: str) -> Source:
    rest, _, below = rest.partition("#")
    place, at, ref = rest.partition("@")
    parts = place.strip("/").removesuffix(".git").split("/")
    if len(parts) != 2 or not all(re.fullmatch(NAME, part) for part in parts):
        raise _wrong(f"{said!r} names no repository", "write github:owner/repo@ref")
    return _repository(said, f"https://{GITHUB}/{'/'.join(parts)}.git", ref if at else None, below)


def _web(said: str) -> Source:
    """A page of GitHub's is a repository; what others' pages are, nobody says."""
    url = urlsplit(said)
    if url.scheme == "https" and (url.hostname or "") in (GITHUB, f"www.{GITHUB}") and not url.query:
        owner, _, rest = url.path.strip("/").partition("/")
        repo, tree, ref = rest.partition("/tree/")
        if tree:  # where a browser is when it looks at a tag
            said = f"https://{GITHUB}/{owner}/{repo}@{ref}"
        return _github(said, f"{owner}/{repo}{f'@{ref}' if tree else ''}#{url.fragment}")
    raise _wrong(f"{said!r} may be anything", "for a repository write git+https://host/path@ref")


def _git(said: str, url_and_more: str) -> Source:
    address, _, below = url_and_more.partition("#")
    try:
        url = urlsplit(address)
        host, _ = url.hostname or "", url.port
    except ValueError:
        raise _wrong(f"{said!r} is no address", FORMS) from None
    if url.scheme not in ("https", "file"):
        ways = {"http": "it is not encrypted", "ssh": "it would need your keys"}
        why = ways.get(url.scheme, "only https is both checked and encrypted")
        raise _wrong(
            f"git over {url.scheme or 'this'} is not gone: {why}",
            "write git+https:// or clone it, and add the folder",
        )
    if url.username or url.password:
        raise _wrong("a source holds no user or password", "clone it, and add the folder")
    if (url.scheme == "https") != bool(host) or url.query:
        raise _wrong(
            f"{said!r} is no address", "write git+https://host/path.git@ref, or git+file:///path@ref"
        )
    path, at, ref = url.path.rpartition("@")
    path, ref = (path, ref) if at else (url.path, "")
    if "/" in ref and (found := re.fullmatch(r"(.*?)@([^@]+)", url.path)) is not None:
        path, ref = found[1], found[2]
    if path.strip("/") == "":
        raise _wrong(f"{said!r} names no repository", "write git+https://host/path.git@ref")
    netloc = url.netloc if url.scheme == "https" else ""
    return _repository(said, f"{url.scheme}://{netloc}{path}", ref if at else None, below)


def _repository(said: str, place: str, ref: str | None, below: str) -> Source:
    bare = said.partition("#")[0]
    if not ref:
        raise _wrong(
            f"{said!r} says no ref, so it would be another program every day",
            f"write {bare.rstrip('@')}@ and a tag or, best of all, a commit",
        )
    if not REF.fullmatch(ref):
        raise _wrong(f"{ref!r} is no ref", "write a commit, a tag or a branch after the @")
    return Source(said=said, kind=Kind.GIT, place=place, ref=ref, below=_below(below))


def _below(text: str) -> str:
    if not text:
        return ""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text:
        raise _wrong(f"#{text} leads out of the repository", "name a folder in it")
    return str(path) if path.parts else ""


def _npm(said: str, rest: str) -> Source:
    found = NPM.fullmatch(rest)
    if found is None:
        raise _wrong(
            f"{said!r} names no package of npm's", "write npm:package@version or @scope/package@version"
        )
    return Source(said=said, kind=Kind.NPM, place=found["name"], ref=found["version"] or "")


def _python(said: str, rest: str) -> Source:
    if PYTHON.fullmatch(rest) is None:
        raise _wrong(f"{said!r} names no package", "write python:package; install it beside rhetor first")
    return Source(said=said, kind=Kind.PYTHON, place=rest)


def _folder(said: str, path: str) -> Source:
    if said.startswith("file:") and urlsplit(said).netloc not in ("", "localhost"):
        raise _wrong(f"{said!r} names another machine", "write file:///path")
    return Source(said=said, kind=Kind.FOLDER, place=str(Path(path).expanduser()))


def _wrong(what: str, remedy: str) -> BadRequest:
    return BadRequest(f"{what}; {remedy}", Code.INVALID_REQUEST, param="source")
