"""The sentences that findings are explained with, the same in every language."""

from __future__ import annotations

from rhetor.migrate.finding import Effort, Finding, Kind
from rhetor.migrate.packages import Package
from rhetor.migrate.vendors import without_asides, without_secrets

GATEWAY_KEYS = "the gateway's environment; the component itself has none, or RHETOR_AUTH_TOKEN"
ROUTE = "a route's name, or RHETOR_DEFAULT_MODEL"
DOORS = {
    "anthropic": "TektonLLMClient, or RHETOR_URL/v1/messages",
    "ollama": "TektonLLMClient, or the same path at RHETOR_URL",
    "llm-adapter": "TektonLLMClient, or the same path at RHETOR_URL",
}
OPENAI_DOOR = "TektonLLMClient, or RHETOR_URL/v1/chat/completions"


def key(file: str, line: int, name: str, vendor: str) -> Finding:
    reason = "the gateway holds the keys: move it there, and drop it here"
    return Finding(file, line, Kind.KEY, name, vendor, GATEWAY_KEYS, Effort.ASSISTED, reason)


def secret(file: str, line: int) -> Finding:
    reason = "revoke it, since it is in the history too, and give a new one to the gateway only"
    return Finding(file, line, Kind.SECRET, "a key, written out", "", GATEWAY_KEYS, Effort.BY_HAND, reason)


def model(file: str, line: int, name: str) -> Finding:
    reason = "it works as it is, as long as one provider has it; a route can be changed without a release"
    return Finding(file, line, Kind.MODEL, name, "", ROUTE, Effort.ASSISTED, reason)


def address(file: str, line: int, what: str, vendor: str) -> Finding:
    reason = "address and key change together"
    return Finding(
        file, line, Kind.HTTP, what, vendor, DOORS.get(vendor, OPENAI_DOOR), Effort.ASSISTED, reason
    )


def websocket(file: str, line: int, what: str, vendor: str, instead: str) -> Finding:
    reason = "the client brings registration, reconnecting and cancelling along; the code around it goes"
    return Finding(file, line, Kind.WEBSOCKET, what, vendor, instead, Effort.BY_HAND, reason)


def dependency(file: str, line: int, package: Package, name: str) -> Finding:
    reason = "goes, or stays for its client only, when nothing uses it directly any more"
    return Finding(
        file, line, Kind.DEPENDENCY, name, package.vendor, "tekton-llm-client", Effort.ASSISTED, reason,
        package.name,
    )  # fmt: skip


def imported(file: str, line: int, package: Package, what: str) -> Finding:
    reason = "goes with the last thing that uses it"
    return Finding(
        file, line, Kind.IMPORT, what, package.vendor, package.instead, Effort.ASSISTED, reason, package.name
    )


def shortened(text: str, width: int = 90) -> str:
    """On one line, not for ever, and for any eyes: half a key is still no one's business."""
    line = " ".join(without_secrets(without_asides(text)).split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
