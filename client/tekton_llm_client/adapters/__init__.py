"""The client in the words of adapters, for code that knows it by them."""

from tekton_llm_client.adapters.base import BaseAdapter
from tekton_llm_client.adapters.fallback import FallbackAdapter

__all__ = ["BaseAdapter", "FallbackAdapter"]
