"""The benchmark: what the gateway costs beside proxies that do nothing else. See docs/benchmark.md."""
