"""A llama.cpp server with a model that it writes itself: `python server.py FOLDER`.

Writes its address when it is ready and ends when its standard input does, so
that it never outlives the tests. Knows nothing but loopback.
"""

from __future__ import annotations

import sys
from pathlib import Path

MISSING = 3
"""Exit code: the engine, or what writes its model, is not installed here."""

try:
    import xllamacpp
    from model import CONTEXT_TOKENS, write_model
except ImportError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(MISSING)

NAME = "gibberish"
SLOTS = 2  # two replies at the same time


def serve(folder: Path) -> None:
    path = folder / f"{NAME}.gguf"
    write_model(path)
    server = xllamacpp.Server(params(path))
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


def params(path: Path) -> xllamacpp.CommonParams:
    given = xllamacpp.CommonParams()
    given.model.path = str(path)
    given.model_alias = {NAME}
    given.n_ctx = CONTEXT_TOKENS
    given.n_parallel = SLOTS
    given.kv_unified = True  # each slot may use the whole context
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = 1
    given.n_gpu_layers = 0
    given.cache_ram_mib = 0
    given.embedding = True
    given.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    given.endpoint_metrics = True
    given.offline = True
    given.ui = False
    given.warmup = given.fit_params = False  # nothing that a model of this size needs
    given.verbosity = 0
    return given


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
