"""The section `assets`: how long pictures, recordings and films are kept, and how much room they have."""

from __future__ import annotations

from pydantic import Field

from rhetor.config.section import Section


class AssetsConfig(Section):
    """What generations made and callers uploaded. It is kept below `store.folder`; when that is `:memory:`,
    in memory, and never more than 256 MiB of it.
    """

    keep_s: float = Field(
        7 * 86_400.0,
        gt=0,
        le=10 * 365 * 86_400,
        description="How long an asset is kept, and what is known of the generation that made it.",
    )
    each_mb: int = Field(256, ge=1, le=65_536, description="The largest one, in MiB.")
    all_mb: int = Field(
        4096,
        ge=1,
        le=16_777_216,
        description="All of them together, in MiB. Who has most of it makes room for new ones, with what is "
        "oldest.",
    )
    lineage: bool = Field(
        True,
        description="Whether is noted what results were made of, with what was asked, cut short: of all that "
        "`/v1/generate` and jobs make, and of other doors' pictures, sounds and films.",
    )
