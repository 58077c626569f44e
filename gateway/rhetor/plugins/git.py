"""Plugins out of git: a ref becomes a commit, and the files of a commit are read out of it, not checked out.

So nothing of the repository has a say: its hooks, filters, attributes, submodules and LFS are for those who
check out. What git itself is told here it says of each option in git-config(1) and git-ls-tree(1),
https://git-scm.com/docs (read 2026-11-21); `http.curloptResolve` exists from 2.37 on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.value import value
from rhetor.plugins.program import Fetching
from rhetor.plugins.sources import COMMIT, Source
from rhetor.plugins.tree import Tree, shown

HTTPS_PORT = 443
PIECE_BYTES = 1 << 20
PROGRAM, LINK, SUBMODULE = b"100755", b"120000", b"160000"
REPOSITORY = "repository"
ENV: Mapping[str, str] = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false",
    "GIT_SSH_COMMAND": "false",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
SETTINGS = (
    "protocol.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=false",
    "credential.helper=",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "gc.auto=0",
    "maintenance.auto=false",
)


@value(kw_only=True)
class Commit:
    """What a ref stands for."""

    id: str
    kind: str
    """commit, tag or branch."""


def resolve(source: Source, fetching: Fetching, addresses: Sequence[str]) -> Commit:
    """The commit behind a ref, as the repository says now. Nothing is fetched.

    Args:
        addresses: where the host is; git asks nobody else.

    Raises:
        BadRequest: not_found, no such ref, or it is a tag and a branch.
        RhetorError: the repository cannot be asked.
    """
    if source.is_commit:
        return Commit(id=source.ref, kind="commit")
    short = source.ref.removeprefix("refs/tags/").removeprefix("refs/heads/")
    names = [f"refs/tags/{short}", f"refs/tags/{short}^{{}}", f"refs/heads/{short}"]
    git = _Git(source, fetching, addresses)
    said = git.ask("ls-remote", "--quiet", "--", source.place, *names)
    lines = [line.split("\t", 1) for line in said.read_text("utf-8", "replace").splitlines() if "\t" in line]
    found = {name: id for id, name in lines}
    tag = found.get(names[1]) or found.get(names[0])
    branch = found.get(names[2])
    if source.ref.startswith("refs/"):
        tag, branch = (tag, None) if source.ref.startswith("refs/tags/") else (None, branch)
    if tag and branch:
        either = f"write refs/tags/{short} or refs/heads/{short}"
        message = f"{source.ref!r} is a tag and a branch of {source.place}; {either}"
        raise BadRequest(message, Code.CONFLICT, param="source")
    commit = tag or branch
    if commit is None or not COMMIT.fullmatch(commit):
        hint = (
            "a commit is written whole, with its 40 digits"
            if re.fullmatch(r"[0-9a-f]{4,39}", short)
            else ("there is no tag and no branch of that name; the default branch is not taken instead")
        )
        raise BadRequest(f"no {source.ref!r} in {source.place}: {hint}", Code.NOT_FOUND, param="source")
    return Commit(id=commit, kind="tag" if tag else "branch")


def fetch(source: Source, commit: Commit, fetching: Fetching, addresses: Sequence[str], tree: Tree) -> None:
    """The files of one commit, without its history.

    Raises:
        BadRequest: it is not there, too large, or holds what a plugin may not.
        RhetorError: the repository cannot be asked.
    """
    git = _Git(source, fetching, addresses)
    options = ("--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
    git.ask("fetch", *options, "--", source.place, commit.id)
    root = f"{commit.id}:{source.below}" if source.below else commit.id
    files: list[_Entry] = []
    size_bytes = 0
    with git.ask("ls-tree", "-r", "-l", "-z", "--full-tree", root).open("rb") as said:
        for entry in _entries(said):
            if entry.mode == SUBMODULE:
                tree.warnings.append(f"{shown(entry.path)} is a submodule, and left out")
            else:
                files.append(entry)
                size_bytes += entry.size_bytes
            # One by one: a few small folders that hold each other many times are millions of files.
            tree.expect(len(files) + len(tree.warnings), size_bytes)
    if not files:
        raise BadRequest(f"{source.said} is empty", Code.NOT_FOUND, param="source")
    ids = "".join(f"{entry.id}\n" for entry in files).encode()
    with git.ask("cat-file", "--batch", told=ids).open("rb") as contents:
        for entry in files:
            _write(entry, contents, tree)
    tree.finish()


def _write(entry: _Entry, contents: BinaryIO, tree: Tree) -> None:
    """The next of what cat-file says: a line with id, kind and size, the bytes, and the end of a line."""
    _, kind, size = contents.readline().split()
    if kind != b"blob":
        raise BadRequest(f"{entry.path!r} is no file", Code.INVALID_REQUEST, param="source")
    left = int(size)
    if entry.mode == LINK:
        tree.link(entry.path, contents.read(left).decode("utf-8", "surrogateescape"))
    else:
        tree.add(entry.path, _pieces(contents, left), entry.mode == PROGRAM)
    contents.read(1)


def _pieces(contents: BinaryIO, left: int) -> Iterator[bytes]:
    while left > 0 and (piece := contents.read(min(left, PIECE_BYTES))):
        left -= len(piece)
        yield piece


@value(kw_only=True)
class _Entry:
    mode: bytes
    id: str
    size_bytes: int
    path: str


def _entries(said: BinaryIO) -> Iterator[_Entry]:
    rest = b""
    while piece := said.read(PIECE_BYTES):
        *lines, rest = (rest + piece).split(b"\0")  # each of them ends with it
        for line in lines:
            about, _, path = line.partition(b"\t")
            mode, _, id, size = about.split()
            yield _Entry(
                mode=mode,
                id=id.decode(),
                size_bytes=int(size) if size.isdigit() else 0,
                path=path.decode("utf-8", "surrogateescape"),
            )


class _Git:
    """git, with nothing of this machine's settings, and only the one way that the source goes."""

    def __init__(self, source: Source, fetching: Fetching, addresses: Sequence[str]) -> None:
        url = urlsplit(source.place)
        way = [f"protocol.{url.scheme}.allow=always"]
        if addresses and url.hostname:
            port = url.port or HTTPS_PORT
            there = ",".join(f"[{each}]" if ":" in each else each for each in addresses)
            way.append(f"http.curloptResolve={url.hostname}:{port}:{there}")
        self._options = [part for setting in (*SETTINGS, *way) for part in ("-c", setting)]
        self._place = source.place
        self._fetching = fetching

        if not (fetching.folder / REPOSITORY).exists():
            self._ask("init", "--quiet", "--bare", "--template=", REPOSITORY)

    def ask(self, *arguments: str, told: bytes = b"") -> Path:
        """The file with what it says. It looks at no repository but ours, wherever our folder is."""
        return self._ask(f"--git-dir={REPOSITORY}", *arguments, told=told)

    def _ask(self, *arguments: str, told: bytes = b"") -> Path:
        argv = ["git", *self._options, *arguments]
        code, said, complaint = self._fetching.run(argv, ENV, f"fetching {self._place}", told)
        if code != 0:
            raise RhetorError(_in_words(self._place, complaint, code), Code.UNAVAILABLE, status=502)
        return said


def _in_words(place: str, complaint: str, code: int) -> str:
    about = complaint or f"git ended with {code}"
    for pattern, words in _COMPLAINTS:
        if re.search(pattern, about, re.IGNORECASE):
            return f"{place}: {words}"
    return f"{place}: {about[:300]}"


_COMPLAINTS = (
    (
        r"could not read Username|Authentication failed|terminal prompts disabled|\b40[13]\b",
        "there is no such repository, or it is not public; clone it, and add the folder",
    ),
    (
        r"not our ref|couldn't find remote ref|unadvertised object|not a valid object|bad object",
        "no such commit there",
    ),
    (r"redirect", "it has moved; write its new address"),
    (
        r"dubious ownership",
        "it belongs to somebody else, and git does not read it; clone it, and add the folder",
    ),
    (r"does not exist|not found|does not appear to be a git repository", "there is no such repository"),
)
