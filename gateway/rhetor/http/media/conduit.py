"""MediaConduit's API over HTTP, a façade on jobs: what its callers send, and what they read of it."""

from __future__ import annotations

import orjson
from aiohttp import web

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.http.house import HOUSE
from rhetor.http.media import jobs
from rhetor.http.media.asked import asked_of
from rhetor.http.reply import UnderWay, read_body
from rhetor.http.served import Handler, Served
from rhetor.pipeline.lineage import outcome_of
from rhetor.pipeline.recording import Recording
from rhetor.pipeline.shelving import CHAIN, LINEAGE, MADE, PROMPT
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.generate.conduit import CONDUIT, NAMES, asked_for, capabilities, enclosed

JOBS = "/api/v1/jobs"


async def known_capabilities(http: web.Request) -> web.Response:
    """What can be made of what, and who could do it now (MediaConduit)."""
    able: dict[str, list[JsonValue]] = {}
    for facts in http.app[HOUSE].catalog.providers.values():
        for capability in facts.capabilities if facts.available and not facts.last_resort else ():
            able.setdefault(capability.value, []).append(facts.id)
    told = [{**each, "providers": able.get(str(each["id"]), [])} for each in capabilities()]
    return _json(enclosed({"capabilities": [*told], "total": len(told)}))


async def transform(http: web.Request) -> web.Response:
    """Make something with a model of a provider, as a job (MediaConduit)."""
    provider, model = http.match_info["provider"], http.match_info["model"]
    with UnderWay(http) as house:
        if provider not in house.catalog.providers:
            raise BadRequest(f"Provider {provider[:100]!r} not found", Code.NOT_FOUND)
        said = asked_for(fields.parse_object(await read_body(http)), provider, model)
        job = jobs.begin(http, house, await asked_of(http, said, fields.dump(said)))
    place = f"{JOBS}/{job.id}"
    status = jobs.status_of(job)
    data: Json = {
        "jobId": job.id,
        "status": status,
        "message": "Transformation started",
        "statusUrl": place,
    }
    return _json(enclosed(data), 202)


async def job(http: web.Request) -> web.Response:
    """How a job is, and what it made (MediaConduit)."""
    return _json(enclosed(_told(jobs.find(http))))


async def cancel(http: web.Request) -> web.Response:
    """End a job that runs; forget one that has ended (MediaConduit)."""
    found = jobs.find(http)
    await http.app[HOUSE].recordings.cancel(found)
    return _json({"success": True, "message": f"Job '{found.id}' cancelled"})


async def download(http: web.Request) -> web.StreamResponse:
    """The first medium that a job has made (MediaConduit)."""
    _completed(http)
    return await jobs.download(http)


async def metadata(http: web.Request) -> web.Response:
    """What a job's result was made of: `generation_prompt` and `generation_chain` (MediaConduit)."""
    found = _completed(http)
    meta, provider, model = found.meta, *_server_of(found)
    noted = meta.get(LINEAGE)
    data: dict[str, JsonValue] = {
        "jobId": found.id,
        "asset_type": NAMES.get(outcome_of(found.request.capability.value), "Asset"),
        "format": _first(found).get("media_type"),
        "metadata": {"generation_prompt": meta.get(PROMPT), "generation": noted},
        "generation_chain": meta.get(CHAIN),
        "execution": {
            "providerId": provider,
            "modelId": model,
            "capability": found.request.capability.value,
            "createdAt": found.began_at.isoformat(),
        },
    }
    return _json(enclosed(data))


def conduit_table() -> list[Served]:
    """The paths of MediaConduit's callers."""
    one = f"{JOBS}/{{id}}"
    calls: list[tuple[str, str, Handler, tuple[int, ...]]] = [
        ("GET", "/api/v1/capabilities", known_capabilities, (200,)),
        ("POST", "/api/v1/transform/{provider}/{model:.+}", transform, (202,)),
        ("GET", one, job, (200,)),
        ("DELETE", one, cancel, (200,)),
        ("GET", f"{one}/download", download, (200, 206, 304)),
        ("GET", f"{one}/metadata", metadata, (200,)),
    ]
    return [
        Served("conduit", method, path, handler, CONDUIT, answers=answers)
        for method, path, handler, answers in calls
    ]


def _told(job: Recording) -> dict[str, JsonValue]:
    provider, model = _server_of(job)
    fraction = jobs.described(job, JOBS)["progress"]
    done = fraction.get("fraction") if isinstance(fraction, dict) else None
    said: dict[str, JsonValue] = {
        "jobId": job.id,
        "status": jobs.status_of(job),
        "progress": round(done * 100) if isinstance(done, int | float) else 0,
        "createdAt": job.began_at.isoformat(),
        "providerId": provider,
        "modelId": model,
        "capability": job.request.capability.value,
    }
    if job.error is not None:
        said["error"] = job.error.message
    elif job.ended:
        place = f"{JOBS}/{job.id}"
        first = _first(job)
        said["result"] = {
            "url": f"{place}/download",
            "metadataUrl": f"{place}/metadata",
            "format": first.get("media_type"),
            "fileSize": first.get("bytes"),
            "assets": job.meta.get(MADE),
        }
    return said


def _completed(http: web.Request) -> Recording:
    found = jobs.find(http)
    if not found.ended or found.error is not None:
        message = f"Job '{found.id}' is not completed (status: {jobs.status_of(found)})"
        raise BadRequest(message)
    return found


def _server_of(job: Recording) -> tuple[str, str]:
    """Who serves it; before anybody does, who was asked for."""
    served = job.meta.get("served_by") or job.request.model
    provider, _, model = str(served).partition("/")
    return provider, model


def _first(job: Recording) -> Json:
    made = job.meta.get(MADE)
    first = made[0] if isinstance(made, list) and made else None
    return first if isinstance(first, dict) else {}


def _json(said: Json, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(said), content_type=JSON_TYPE)
