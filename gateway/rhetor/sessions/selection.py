"""Who converses in a session whose caller leaves that to us: a backend, and a model for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from rhetor.core.capability import Capability, Feature
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.core.request import Chat, Request, ResponseFormat, Tool, Wanted
from rhetor.core.value import value
from rhetor.routing.catalog import DEFAULT_NAMES
from rhetor.routing.decision import Plan, explained
from rhetor.sessions.asking import Requirements
from rhetor.sessions.backend import Ability, Backend, Condition

Explain = Callable[[Request], Plan]
"""Whom the router would ask."""

SPELLINGS: Mapping[str, Ability | Feature] = {
    "code": Ability.CODE_EXECUTION,
    "files": Ability.FILE_OPERATIONS,
    "tool_use": Ability.TOOLS,
    "function_calling": Ability.TOOLS,
    "vision": Feature.IMAGES,
    "long_context": Ability.CONTINUATION,
}
"""Other words for the same, as callers write them."""


@value(kw_only=True)
class Prospect:
    """A backend that may be chosen, as it is now."""

    backend: Backend
    condition: Condition
    live: int
    """How many of its sessions fill a place."""


def choose(requirements: Requirements, prospects: Sequence[Prospect], explain: Explain, owner: str) -> Json:
    """{backend, model, reasons, dropped, plan}. Pure, but for what `explain` knows of the targets' health.

    The first backend that can do what is asked wins; with load balancing the one that is least in use, as
    far as that differs by a tenth of its places.

    Raises:
        BadRequest: no such capability; unsupported, nobody has all of them.
        UpstreamError: those who could are not to be had now.
    """
    abilities, features = _demanded(requirements.capabilities)
    fit: list[tuple[Prospect, str, Plan]] = []
    dropped: dict[str, JsonValue] = {}
    unable = True
    for prospect in prospects:
        backend = prospect.backend
        try:
            _see(prospect, abilities, requirements)
            model, plan = _model(backend, features, requirements, explain, owner)
        except RhetorError as error:
            dropped[backend.name] = error.message
            unable = unable and isinstance(error, BadRequest)
            continue
        fit.append((prospect, model, plan))
    if not fit:
        told = "; ".join(f"{name}: {reason}" for name, reason in dropped.items())
        if unable:
            raise BadRequest(
                f"no backend can do what is asked ({told})", Code.UNSUPPORTED, param="requirements"
            )
        raise UpstreamError(f"no backend can be had now ({told})", Code.UNAVAILABLE)
    chosen = min(fit, key=lambda each: _load(each[0])) if requirements.load_balancing else fit[0]
    prospect, model, plan = chosen
    return {
        "backend": prospect.backend.name,
        "model": model,
        "reasons": _reasons(prospect, requirements, plan),
        "dropped": dropped,
        "plan": explained(plan),
    }


def _demanded(names: Sequence[str]) -> tuple[frozenset[Ability], frozenset[Feature]]:
    abilities, features = set[Ability](), set[Feature]()
    for name in names:
        word = name.strip().lower().removeprefix("supports_").replace("-", "_")
        meant = SPELLINGS.get(word, word)
        if meant in set(Ability):
            abilities.add(Ability(meant))
        elif meant in set(Feature):
            features.add(Feature(meant))
        else:
            known = ", ".join(sorted({*Ability, *Feature}))
            message = f"capabilities: no such capability, {name!r}; there are {known}"
            raise BadRequest(message, param="requirements.capabilities")
    return frozenset(abilities), frozenset(features)


def _see(prospect: Prospect, abilities: frozenset[Ability], requirements: Requirements) -> None:
    backend = prospect.backend
    if missing := abilities - backend.abilities:
        raise BadRequest(f"cannot do {', '.join(sorted(missing))}", Code.UNSUPPORTED)
    if backend.models and requirements.model not in (*DEFAULT_NAMES, *backend.models):
        raise BadRequest(f"is not offered with {requirements.model!r}", Code.UNSUPPORTED)
    if not prospect.condition.healthy:
        raise UpstreamError(prospect.condition.error or "is not well", Code.UNAVAILABLE)
    if prospect.live >= backend.max_sessions:
        raise UpstreamError(f"has {prospect.live} sessions, which is all it may", Code.POOL_FULL)


def _model(
    backend: Backend, features: frozenset[Feature], requirements: Requirements, explain: Explain, owner: str
) -> tuple[str, Plan]:
    """The model that the session gets, as the router names it, and why."""
    named = requirements.model if requirements.model not in DEFAULT_NAMES else ""
    if not named and (backend.models or not requirements.cost_optimization):
        named = backend.default_model or next(iter(backend.models), "")
    needed = features | backend.features
    request = Request(
        id="choose",
        capability=Capability.CHAT,
        model=named,
        input=Chat(
            messages=(),
            tools=(Tool("any"),) if Feature.TOOLS in needed else (),
            response_format=ResponseFormat("json_schema") if Feature.JSON_SCHEMA in needed else None,
            max_tokens=requirements.max_tokens,
        ),
        principal=owner or None,
    )
    if not named:
        prefer: Literal["cost"] | None = "cost" if requirements.cost_optimization else None
        request.wanted = Wanted(features=needed, prefer=prefer)
    plan = explain(request)
    return named or plan.first.name, plan


def _load(prospect: Prospect) -> int:
    """In tenths."""
    return 10 * prospect.live // prospect.backend.max_sessions


def _reasons(prospect: Prospect, requirements: Requirements, plan: Plan) -> list[JsonValue]:
    reasons = [f"{prospect.live} of {prospect.backend.max_sessions} places are taken"]
    if requirements.capabilities:
        reasons.append(f"can do {', '.join(requirements.capabilities)}")
    if requirements.cost_optimization:
        reasons.append("the cheapest model that is known to do it")
    if plan.candidates:
        reasons.append(f"{plan.first.name}: {plan.candidates[0].reason}")
    return [*reasons]
