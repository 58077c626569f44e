"""The paths of our own door for media: generating, jobs, assets, and what they were made of."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.http.media import assets, generate, jobs
from rhetor.http.served import Handler, Served
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.tekton import TEKTON

FILES = ("application/octet-stream", assets.FORM)
ANSWERS: Mapping[Handler, tuple[int, ...]] = {
    assets.upload: (201,),
    assets.asset: (200, 206, 304),
    jobs.create: (202,),
    jobs.events: (200, 204),
    jobs.download: (200, 206, 304),
}
"""Those of other statuses than 200."""


def media_table(prefix: str) -> list[Served]:
    """The paths below this prefix."""
    v1 = f"{prefix}/v1"
    job, asset = f"{v1}/jobs/{{id}}", f"{v1}/assets/{{id}}"
    calls: list[tuple[str, str, Handler, tuple[str, ...], bool]] = [
        ("POST", f"{v1}/generate", generate.generate, (), True),
        ("GET", f"{v1}/generations/{{id}}/lineage", generate.lineage, generate.TRACING, False),
        ("POST", f"{v1}/jobs", jobs.create, (), True),
        ("GET", f"{v1}/jobs", jobs.jobs, jobs.LISTING, False),
        ("GET", job, jobs.job, (), False),
        ("DELETE", job, jobs.cancel, (), False),
        ("GET", f"{job}/events", jobs.events, jobs.READING, False),
        ("GET", f"{job}/result", jobs.result, (), False),
        ("GET", f"{job}/download", jobs.download, jobs.FETCHING, False),
        ("POST", f"{v1}/assets", assets.upload, assets.UPLOADING, True),
        ("GET", f"{v1}/assets", assets.assets, assets.LISTING, False),
        ("GET", asset, assets.asset, assets.FETCHING, False),
        ("DELETE", asset, assets.forget, (), False),
    ]
    return [
        Served(
            "generate",
            method,
            path,
            handler,
            TEKTON,
            query=query,
            takes_body=takes_body,
            takes=FILES if handler is assets.upload else (JSON_TYPE,),
            answers=ANSWERS.get(handler, (200,)),
        )
        for method, path, handler, query, takes_body in calls
    ]
