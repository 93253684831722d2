"""A Llama of one layer, whose every weight is one."""

import numpy as np

from headrace.engines.tiny.checkpoint import Array, LlamaConfig

SMALL = LlamaConfig(
    vocabulary=3,
    width=4,
    inner_width=2,
    layers=1,
    heads=2,
    key_value_heads=1,
    head_width=2,
    positions=4,
    epsilon=1e-6,
    theta=10000.0,
    end_tokens=frozenset(),
)


def small_tensors() -> dict[str, Array]:
    shapes = {
        "model.embed_tokens.weight": (3, 4),
        "model.norm.weight": (4,),
        "model.layers.0.input_layernorm.weight": (4,),
        "model.layers.0.post_attention_layernorm.weight": (4,),
        "model.layers.0.self_attn.q_proj.weight": (4, 4),
        "model.layers.0.self_attn.k_proj.weight": (2, 4),
        "model.layers.0.self_attn.v_proj.weight": (2, 4),
        "model.layers.0.self_attn.o_proj.weight": (4, 4),
        "model.layers.0.mlp.gate_proj.weight": (2, 4),
        "model.layers.0.mlp.up_proj.weight": (2, 4),
        "model.layers.0.mlp.down_proj.weight": (4, 2),
    }
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
