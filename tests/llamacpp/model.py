"""A language model of a few thousand random numbers, in the file format of llama.cpp.

It writes gibberish, one letter a token, and never ends by itself: only a limit,
a stop sequence or a bias towards the end token ends what it says.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType

WIDTH, HEADS, FEED_FORWARD = 32, 2, 64
CONTEXT_TOKENS = 32_768
END = 2
"""The id of the token that ends a reply."""

SPECIAL = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
LETTERS = ("▁", *"abcdefghijklmnopqrstuvwxyz")
TOKENS = (*SPECIAL, *BYTES, *LETTERS)
KINDS = (
    TokenType.UNKNOWN,
    TokenType.CONTROL,
    TokenType.CONTROL,
    *(TokenType.BYTE for _ in BYTES),
    *(TokenType.NORMAL for _ in LETTERS),
)
TEMPLATE = "{% for it in messages %}{{ it.role }}: {{ it.content }}\n{% endfor %}assistant: "


def write_model(path: Path, seed: int = 1) -> None:
    """A llama of one layer; the same bytes for the same seed."""
    writer = GGUFWriter(path, "llama")
    writer.add_name("gibberish")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0 if token in LETTERS else -1.0 for token in TOKENS])
    writer.add_token_types(KINDS)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(END)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in _tensors(np.random.default_rng(seed)).items():
        writer.add_tensor(f"{name}.weight", tensor.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(random: np.random.Generator) -> dict[str, np.ndarray]:
    def matrix(rows: int, columns: int) -> np.ndarray:
        return random.normal(0.0, 0.3, (rows, columns))

    tensors = {
        "token_embd": matrix(len(TOKENS), WIDTH),
        "output": matrix(len(TOKENS), WIDTH),
        "output_norm": np.ones(WIDTH),
        "blk.0.attn_norm": np.ones(WIDTH),
        "blk.0.ffn_norm": np.ones(WIDTH),
        "blk.0.ffn_gate": matrix(FEED_FORWARD, WIDTH),
        "blk.0.ffn_up": matrix(FEED_FORWARD, WIDTH),
        "blk.0.ffn_down": matrix(WIDTH, FEED_FORWARD),
        **{f"blk.0.attn_{part}": matrix(WIDTH, WIDTH) for part in ("q", "k", "v", "output")},
    }
    # The first number of every state is large, and asks for letters: nothing else is ever said.
    tensors["token_embd"][:, 0] = 10.0
    tensors["output"][:, 0] = -20.0
    tensors["output"][-len(LETTERS) :, 0] = 0.0
    return tensors
