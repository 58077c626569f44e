"""Which changes are made, and which findings do they settle, seen over the whole tree?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rhetor.migrate.finding import DIRECT, Change, Edit, Effort, Finding, Kind, Reading, collide

FOLLOWS = "follows its client"
FOLLOWING = frozenset({Kind.IMPORT, Kind.CALL, Kind.STREAM, Kind.DEPENDENCY})
"""What is all right as it is, once every client of its package reaches the gateway."""


def settled(
    readings: Mapping[str, Reading],
) -> tuple[tuple[Finding, ...], dict[str, tuple[Change, ...]]]:
    """The findings with their final efforts, and the changes by file."""
    everything = [finding for reading in readings.values() for finding in reading.findings]
    changes = _accepted(readings, everything)
    accepted = {change.client for each in changes.values() for change in each}
    at_gateway = {package for reading in readings.values() for package in reading.at_gateway}
    moving = {change.package for each in changes.values() for change in each if not change.leaves}
    leaving = {change.package for each in changes.values() for change in each if change.leaves}
    left = {f.package for f in everything if f.kind is Kind.CLIENT and f.client not in accepted}
    found = []
    for finding in everything:
        reading = readings[finding.file]
        clients = _clients(finding, reading) if finding.kind is Kind.IMPORT else {finding.client} - {""}
        if clients and clients <= accepted:
            found.append(_mechanical(finding))
        elif finding.kind is Kind.IMPORT and not clients and finding.package in reading.at_gateway:
            continue
        elif clients or finding.kind not in FOLLOWING or finding.package in left:
            found.append(_refused(finding, reading))
        elif finding.package in moving:
            found.append(_mechanical(finding))
        elif finding.package not in at_gateway:
            found.append(_alone(finding, everything, finding.package in leaving))
    if at_gateway and not any(finding.kind in DIRECT for finding in found):
        # Whoever asks the gateway names models too; that is how one asks.
        found = [finding for finding in found if finding.kind is not Kind.MODEL]
    return tuple(sorted(found)), changes


def _accepted(readings: Mapping[str, Reading], findings: Iterable[Finding]) -> dict[str, tuple[Change, ...]]:
    """Changes of clients that nothing is asked of which the gateway does not serve."""
    unserved = [f for f in findings if f.kind is Kind.CALL and f.effort is Effort.BY_HAND]
    refused = {f.client for f in unserved}
    # A name may stand for several clients of a file, of which only one was followed.
    doubtful = {(f.file, f.package) for f in unserved}
    accepted = {}
    for name, reading in readings.items():
        taken: list[Edit] = []
        made: list[Change] = []
        for change in reading.changes:
            is_settled = any(change.client == each.client for each in made)
            is_shared = change.alone and _is_used_elsewhere(change.alone, name, readings)
            is_refused = change.client in refused or (name, change.package) in doubtful
            if is_settled or is_shared or is_refused:
                continue
            if not any(collide(a, b) for a in change.edits for b in taken):
                taken += change.edits
                made.append(change)
        if made:
            accepted[name] = tuple(made)
    return accepted


def _is_used_elsewhere(attribute: str, file: str, readings: Mapping[str, Reading]) -> bool:
    return any(attribute in reading.attributes for name, reading in readings.items() if name != file)


def _mechanical(finding: Finding) -> Finding:
    reason = finding.reason if finding.kind in (Kind.CLIENT, Kind.KEY) else FOLLOWS
    return replace(finding, effort=Effort.MECHANICAL, reason=reason)


def _refused(finding: Finding, reading: Reading) -> Finding:
    """A client that would have been pointed at the gateway, if that were all."""
    if finding.kind is not Kind.CLIENT or finding.client not in {change.client for change in reading.changes}:
        return finding
    return replace(finding, reason="it also asks for what the gateway does not serve")


def _clients(finding: Finding, reading: Reading) -> set[str]:
    """The clients that an import is there for, and whatever else its file does with their package."""
    return {f.client for f in reading.findings if f.package == finding.package and f.client}


def _alone(finding: Finding, findings: Iterable[Finding], is_leaving: bool) -> Finding:
    """A dependency that nothing uses, or will use, says so."""
    if finding.kind is not Kind.DEPENDENCY:
        return finding
    if is_leaving:
        return replace(finding, reason="nothing needs it any more, once the changes are written")
    used = any(f.package == finding.package and f.kind is not Kind.DEPENDENCY for f in findings)
    return finding if used else replace(finding, reason="nothing in this tree imports it")
