"""Language models of some thousand random numbers, one of each family, for tests that run where torch is.

Their weights are larger than those of a new model, so that what a token sees decides about what comes next.
"""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

VOCABULARY = 128
CONTEXT = 128
WINDOW = 12  # tokens that a layer with a sliding window sees

_SIZES = {"vocab_size": VOCABULARY, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
_ENDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
_LLAMA = {**_SIZES, "num_key_value_heads": 2, "intermediate_size": 96, "max_position_embeddings": CONTEXT}
_GPT = {"vocab_size": VOCABULARY, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": {**_LLAMA, "head_dim": 16},
    "mistral": {**_LLAMA, "sliding_window": WINDOW},
    "phi3": {**_LLAMA, "sliding_window": None},
    "gemma": {**_LLAMA, "head_dim": 16},
    "gemma3_text": {
        **_LLAMA,
        "head_dim": 16,
        "sliding_window": WINDOW,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "gpt2": _GPT,
    "gpt_neox": {**_SIZES, "intermediate_size": 96, "max_position_embeddings": CONTEXT},
    "opt": {**_SIZES, "ffn_dim": 96, "word_embed_proj_dim": 64, "max_position_embeddings": CONTEXT},
    "falcon": _SIZES,
    "gpt_oss": {
        **_LLAMA,
        "head_dim": 16,
        "sliding_window": WINDOW,
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {"rope_type": "default"},
    },
    "bloom": _SIZES,
    "mamba": {"vocab_size": VOCABULARY, "hidden_size": 64, "num_hidden_layers": 2, "state_size": 8},
    "rwkv": {"vocab_size": VOCABULARY, "hidden_size": 64, "attention_hidden_size": 64, "num_hidden_layers": 2},
    "gpt_neo": {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "num_layers": 2,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 1]],
        "window_size": WINDOW,
        "max_position_embeddings": CONTEXT,
    },
}
TOGETHER = [family for family in FAMILIES if family not in ("bloom", "mamba", "rwkv", "gpt_neo")]
"""Those whose rows can be computed together."""


def tiny_model(family: str, **changes: Any) -> Any:
    """A model of a family, the same one every time."""
    torch.manual_seed(1)
    config = AutoConfig.for_model(family, **{**_ENDS, **FAMILIES[family], **changes})
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights *= 5
    return model


def logits_after(model: Any, tokens: Any) -> Any:
    """What the model says after each token of a sequence, (T, V), computed at once."""
    with torch.no_grad():
        return model(input_ids=torch.as_tensor(tokens)[None], use_cache=False).logits[0].float().numpy()
