"""What an adapter is."""

from __future__ import annotations

from abc import ABC, abstractmethod


class BaseAdapter(ABC):
    """Something that may know how to reach a model."""

    adapter_id: str

    @abstractmethod
    async def initialize(self) -> bool:
        """Whether it can be used."""

    @abstractmethod
    async def shutdown(self) -> None:
        """Give back what it holds."""
