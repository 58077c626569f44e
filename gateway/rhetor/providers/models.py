"""What is known about models before the provider is asked: prices, limits, features, each with its source.

Prices and context windows come from the package `genai-prices`, found with its
own matching rules; `limits.toml` adds what it lacks. The provider's own list
knows better than both, and the configuration better than all: `merge`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from rhetor.core.capability import Capability, Feature
from rhetor.core.clock import Clock
from rhetor.core.usage import TOKENS_PER_PRICE, Price
from rhetor.providers.spec import ProviderRow, Source
from rhetor.wire.base import ModelEntry

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices
    from genai_prices.types import Provider as PricedProvider


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model, as far as it is known. None: nobody said."""

    id: str
    name: str
    context_tokens: int | None
    """The window: what goes in and comes out together."""
    max_output_tokens: int | None
    price: Price | None
    features: frozenset[Feature] | None
    capabilities: frozenset[Capability]
    as_of: date | None
    """The day the price came into force or the facts were read, the older of both."""
    source: str
    """Where the facts were found, for people."""


PROVIDERS_LIST = "the provider's list"


def merge(entry: ModelEntry, facts: ModelFacts | None, source: str = PROVIDERS_LIST) -> ModelFacts:
    """What an entry says, completed by facts from elsewhere. Chained, the better source is the entry.

    Features the entry names and we do not know are ignored.
    """
    known = facts or ModelFacts(
        entry.id, entry.id, None, None, None, None, capabilities_by_name(entry.id), None, ""
    )
    features = known.features
    if entry.features is not None:
        features = frozenset(feature for feature in Feature if feature in entry.features)
    elif features is not None:
        features = frozenset(feature for feature in features if feature not in entry.lacks)
    price = known.price
    if entry.free is not None:
        # What costs nothing today did not yesterday: a list is newer than every catalogue.
        price = Price(0, 0) if entry.free else price if price != Price(0, 0) else None
    return replace(
        known,
        id=entry.id,
        name=entry.name or known.name,
        context_tokens=entry.context_tokens or known.context_tokens,
        max_output_tokens=entry.max_output_tokens or known.max_output_tokens,
        features=features,
        price=price,
        capabilities=known.capabilities if entry.capabilities is None else entry.capabilities,
        source=f"{source}; {known.source}" if known.source else source,
    )


_NOTHING: frozenset[Capability] = frozenset()
_PICTURES = frozenset({Capability.TEXT_TO_IMAGE, Capability.IMAGE_TO_IMAGE})
_FILMS = frozenset({Capability.TEXT_TO_VIDEO, Capability.IMAGE_TO_VIDEO})
_BY_NAME: Sequence[tuple[re.Pattern[str], frozenset[Capability]]] = [
    (re.compile(pattern), capabilities)
    for pattern, capabilities in (
        (r"embed|\b(bge|gte|e5|voyage)-", frozenset({Capability.EMBEDDINGS})),
        (r"rerank", frozenset({Capability.RERANK})),
        (r"moderation|realtime|-live\b|-ocr\b|decider", _NOTHING),
        (r"transcri|whisper|\bscribe|parakeet|\bstt\b|\basr\b", frozenset({Capability.AUDIO_TO_TEXT})),
        (r"\btts\b|orpheus|kokoro|\beleven_|\baura-|\blyria-", frozenset({Capability.TEXT_TO_AUDIO})),
        (r"imagine-video|\bveo-|\bsora|[ti]2v\b|seedance|\bkling", _FILMS),
        (r"gpt-image|chatgpt-image|imagine-image|\bflux\b|seedream|nano-banana|qwen-image", _PICTURES),
        (r"gemini-[\w.-]*image", _PICTURES | {Capability.CHAT}),
        (r"dall-e|imagen|stable-diffusion|\bsdxl", frozenset({Capability.TEXT_TO_IMAGE})),
    )
]


def capabilities_by_name(model_id: str) -> frozenset[Capability]:
    """What a model can do, told from its id: vendors name their special models after what they do.

    The first word of the table that occurs counts; a model without such a word
    chats. Empty: it does something else, which no capability of ours names.
    """
    id = model_id.lower()
    for pattern, capabilities in _BY_NAME:
        if pattern.search(id):
            return capabilities
    return frozenset({Capability.CHAT})


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Dollars(_Strict):
    """What a medium costs; the file explains the fields. As text, since 0.006 is no binary fraction."""

    characters: Decimal | None = None
    minute: Decimal | None = None
    image: Decimal | None = None
    second_of_video: Decimal | None = None

    def added_to(self, price: Price | None) -> Price:
        """The price with this; tokens cost nothing where only the medium is paid for."""
        return replace(
            price or Price(0, 0),
            character_micros=_whole(self.characters, TOKENS_PER_PRICE),
            audio_micros=_whole(self.minute, TOKENS_PER_PRICE * TOKENS_PER_PRICE, MINUTE_MS),
            image_micros=_whole(self.image, TOKENS_PER_PRICE),
            video_micros=_whole(self.second_of_video, TOKENS_PER_PRICE * TOKENS_PER_PRICE, SECOND_MS),
        )


SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS


def _whole(dollars: Decimal | None, factor: int, unit: int = 1) -> int:
    """Dollars for a unit as whole micro-dollars for as much as `Price` counts them by."""
    return int((dollars * factor / unit).to_integral_value(ROUND_HALF_UP)) if dollars is not None else 0


class Limits(_Strict):
    """One model of `limits.toml`; the file explains the fields."""

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    lacks: frozenset[Feature] = frozenset()
    capabilities: frozenset[Capability] | None = None
    free: bool = False
    dollars: Dollars | None = None


class ProviderLimits(_Strict):
    docs: Source
    offered: tuple[str, ...] = ()
    models: dict[str, Limits] = {}
    otherwise: Limits | None = None

    def of(self, model_id: str) -> Limits | None:
        """The entry with the longest key that the id begins with, up to a word's end."""
        fitting = [key for key in self.models if _begins(model_id, key)]
        return self.models[max(fitting, key=len)] if fitting else self.otherwise


@cache
def load_limits() -> Mapping[str, ProviderLimits]:
    """`limits.toml`, by provider; the file is read once in the life of a process.

    Raises:
        pydantic.ValidationError: the file is wrong.
    """
    table = tomllib.loads(files(__package__).joinpath("limits.toml").read_text("utf-8"))
    return MappingProxyType(
        {provider: ProviderLimits.model_validate(entry) for provider, entry in table.items()}
    )


class Catalogue:
    """Facts about the models of some providers, as of today.

    Args:
        priced: the price data of each provider, by our provider id.
        limits: what stands in `limits.toml`.
        clock: tells which day's prices count.
    """

    def __init__(
        self, priced: Mapping[str, PricedProvider], limits: Mapping[str, ProviderLimits], clock: Clock
    ) -> None:
        self._priced = priced
        self._limits = limits
        self._clock = clock
        # Asking for a version reads folders: only who has prices needs it.
        self._genai_prices = f"genai-prices {version('genai-prices')}" if priced else ""
        # Most ids are somebody's own: looking there first spares OpenRouter's list its 900 rules an id.
        self._by_id = {
            id: {model.id.lower(): model for model in provider.models if model.is_match(model.id)}
            for id, provider in priced.items()
        }

    def facts(self, row: ProviderRow, model_id: str) -> ModelFacts | None:
        """What is known about a provider's model; None when nothing is."""
        limits, dated = self._limits_of(row, model_id)
        priced = self._priced_model(row, model_id)
        if limits is None and priced is None:
            return None
        price, sources, days = None, [], []
        if priced is not None:
            price, note, since = _price_of(priced, self._clock.utc().date())
            sources.append(self._genai_prices + note)
            days += [since] if since else []
        if limits is not None and dated is not None:
            sources.append(dated.docs.url)
            days.append(date.fromisoformat(dated.docs.read))
            price = limits.dollars.added_to(price) if limits.dollars is not None else price
            price = Price(0, 0) if limits.free else price
        capabilities = _capabilities_of(model_id, limits, priced)
        return ModelFacts(
            id=model_id,
            name=(priced.name if priced else None) or model_id,
            context_tokens=(limits and limits.context_tokens) or (priced and priced.context_window) or None,
            max_output_tokens=limits.max_output_tokens if limits else None,
            price=price,
            features=row.features - limits.lacks if limits and Capability.CHAT in capabilities else None,
            capabilities=capabilities,
            as_of=min(days, default=None),
            source="; ".join(sources),
        )

    def known(self, row: ProviderRow) -> tuple[ModelFacts, ...]:
        """The models a provider is known to offer, for providers that do not list them.

        Models that the vendor withdraws are left out, those that can do nothing
        of what the row offers, and those whose id in the catalogue is not what
        callers write.
        """
        if row.deployments:
            return ()
        limits = self._limits.get(row.id)
        ids: Iterable[str] = limits.offered if limits is not None else ()
        if not ids:
            ids = [model.id for model in self._by_id.get(row.id, {}).values() if not model.deprecated]
        found = (facts for id in ids if (facts := self.facts(row, id)) is not None)
        return tuple(facts for facts in found if facts.capabilities & row.capabilities)

    def _limits_of(self, row: ProviderRow, model_id: str) -> tuple[Limits | None, ProviderLimits | None]:
        provider = self._limits.get(row.id)
        return (provider.of(_bare(model_id)), provider) if provider is not None else (None, None)

    def _priced_model(self, row: ProviderRow, model_id: str) -> ModelInfo | None:
        provider, id = self._priced.get(row.id), _bare(model_id)
        if provider is None:
            return None
        return self._by_id[row.id].get(id.lower()) or provider.find_model(id)


def load_catalogue(rows: Iterable[ProviderRow], clock: Clock) -> Catalogue:
    """The facts about the models of these providers.

    Takes about 0.1 s, so call it in a thread. `genai-prices` holds prices of 47
    providers; what is kept is only the part of these rows. Dropping the rest
    gives two thirds of its objects back to the process: of 5.6 MB about 2.3
    are used again for what is allocated next (measured with 0.2.3).
    """
    rows = tuple(rows)
    wanted = {row.id: row.catalogue_id or row.id for row in rows}
    if all(row.status == "configured" for row in rows) and _priced_ids().isdisjoint(wanted.values()):
        return Catalogue({}, load_limits(), clock)
    found = {
        provider.id: replace(
            provider,
            extractors=None,
            models=[replace(model, description=None, price_comments=None) for model in provider.models],
        )
        for provider in _read_prices()
        if provider.id in wanted.values()
    }
    priced = {id: found[theirs] for id, theirs in wanted.items() if theirs in found}
    return Catalogue(priced, load_limits(), clock)


@cache
def _priced_ids() -> frozenset[str]:
    """Whose prices there are: for servers of one's own they need not be read at every reload."""
    return frozenset(provider.id for provider in _read_prices())


def _read_prices() -> list[PricedProvider]:
    import genai_prices
    from genai_prices.data import providers  # bound at once: another thread may drop the module meanwhile

    sys.modules.pop("genai_prices.data", None)
    vars(genai_prices).pop("data", None)
    return providers


def _bare(model_id: str) -> str:
    """Gemini's list says `models/gemini-…` where requests say `gemini-…`."""
    return model_id.removeprefix("models/")


def _begins(model_id: str, key: str) -> bool:
    return model_id.startswith(key) and (len(model_id) == len(key) or model_id[len(key)] in "-:@")


def _capabilities_of(model_id: str, limits: Limits | None, priced: ModelInfo | None) -> frozenset[Capability]:
    if limits is not None and limits.capabilities is not None:
        return limits.capabilities
    return capabilities_by_name(model_id if priced is None else f"{model_id} {priced.id}")


def _price_of(model: ModelInfo, day: date) -> tuple[Price | None, str, date | None]:
    """The price on a day, what must be said about it, and since when it is in force if that is known."""
    prices, note, since = _prices_on(model, day)
    tiered = (prices.input_mtok, prices.output_mtok, prices.cache_read_mtok, prices.cache_write_mtok)
    if any(hasattr(amount, "tiers") for amount in tiered):
        note += ", base tier"
    input_micros, output_micros, cache_read_micros, cache_write_micros = map(_micros, tiered)
    if input_micros is not None:
        price = Price(input_micros, output_micros or 0, cache_read_micros, cache_write_micros)
        return price, note, since
    # OpenRouter's documented convention. An empty price elsewhere means that nobody wrote one down.
    return (Price(0, 0) if model.id.endswith(":free") else None), note, since


def _micros(amount: Decimal | TieredPrices | None) -> int | None:
    """Whole micro-dollars; the data has a few prices with the dust of somebody's float arithmetic."""
    dollars = _base(amount)
    if dollars is None:
        return None
    return int((dollars * TOKENS_PER_PRICE).to_integral_value(ROUND_HALF_UP))


def _base(amount: Decimal | TieredPrices | None) -> Decimal | None:
    return amount if amount is None or isinstance(amount, Decimal) else amount.base


def _prices_on(model: ModelInfo, day: date) -> tuple[ModelPrice, str, date | None]:
    """The prices of a day. Where they change with the hour the dearest counts, to be on the safe side."""
    if not isinstance(model.prices, list):
        return model.prices, "", None
    hours = [model.get_prices(datetime.combine(day, time(hour), UTC)) for hour in range(24)]
    dearest = max(hours, key=_dearness)
    starts = [getattr(conditional.constraint, "start_date", None) for conditional in model.prices]
    note = ", dearest hour" if any(prices is not dearest for prices in hours) else ""
    return dearest, note, max((start for start in starts if start and start <= day), default=None)


def _dearness(prices: ModelPrice) -> Decimal:
    return (_base(prices.input_mtok) or Decimal(0)) + (_base(prices.output_mtok) or Decimal(0))
