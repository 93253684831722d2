"""Which keys a token sees: all up to its own, or the last ones within a window, by the type of the layer.

A checkpoint's configuration names the types (`layer_types`), or has one window for all layers (`sliding_window`). Other
patterns exist (chunks, recurrent states, the local layers of GPT-Neo); nothing here knows them, and a model that has
one must not be run as if it had not: on short prompts nobody would notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import torch

FULL, SLIDING = "full_attention", "sliding_attention"
Mask: TypeAlias = "torch.Tensor | dict[str, torch.Tensor]"


class UnknownAttention(Exception):
    """The layers see keys by a rule that is not known here."""


def windows(config: Any) -> dict[str, int | None]:
    """For each type of layer, how many keys a token sees, its own included; None: all.

    Raises:
        UnknownAttention: see the class.
    """
    sliding = getattr(config, "sliding_window", None)
    types = set(getattr(config, "layer_types", None) or (FULL if sliding is None else SLIDING,))
    if unknown := types - {FULL, SLIDING}:
        raise UnknownAttention(f"layers of type {', '.join(sorted(unknown))}")
    for name, value in (
        ("attention_chunk_size", getattr(config, "attention_chunk_size", None)),
        ("local attention_layers", "local" in (getattr(config, "attention_layers", None) or ())),
    ):
        if value:
            raise UnknownAttention(name)
    if SLIDING in types and sliding is None:
        raise UnknownAttention(f"{SLIDING} without a sliding_window")
    return {each: sliding if each == SLIDING else None for each in types}


def masks(own: torch.Tensor, reach: int, windows: dict[str, int | None], dtype: torch.dtype) -> Mask:
    """What is added to the scores: 0 for a key that is seen, the least number of `dtype` for one that is not.

    Numbers and not truth values, because every implementation of attention can add them.

    Args:
        own: (B, T), the position of each token.
        reach: S, how many keys there are.
        windows: of each type of layer.
        dtype: of the scores.

    Returns:
        (B, 1, T, S), for all layers or, where they differ, for each type.
    """
    import torch

    key = torch.arange(reach, device=own.device)  # (S,)
    seen_from = own[:, None, :, None]  # (B, 1, T, 1)

    def mask(window: int | None) -> torch.Tensor:
        hidden = key > seen_from  # (B, 1, T, S)
        if window is not None:
            hidden |= key <= seen_from - window
        return torch.zeros(hidden.shape, dtype=dtype, device=own.device).masked_fill_(hidden, torch.finfo(dtype).min)

    by_window = {window: mask(window) for window in set(windows.values())}
    if len(by_window) == 1:
        return next(iter(by_window.values()))
    return {each: by_window[window] for each, window in windows.items()}
