"""Tokenizers and checkpoints on disk, as the hub would have them, for tests that run where torch is."""

from pathlib import Path
from typing import Any

from tiny_models import tiny_model
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

BEGIN, END, TURN = "<s>", "</s>", "<|turn|>"
SPECIAL = [BEGIN, END, TURN, "[TOOL_CALLS]"]
TEXTS = [
    "Streaming sends an answer piece by piece, while it is made.",
    "Ein Wort, 一个词, ひとつの言葉, одно слово, μία λέξη, 🙂🚀👩‍🚀, naïve café.",
]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|turn|>{{ m.role }}:{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant:{% endif %}"
)


def byte_level_tokenizer(size: int = 300, template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    """As GPT-2, Llama 3 and Qwen have it; so small that most characters beyond ASCII take several tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.add_tokens([AddedToken(text, special=False) for text in ("<think>", "</think>", "<two words>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, chat_template=template, model_max_length=512
    )


def sentence_piece_tokenizer() -> PreTrainedTokenizerFast:
    """As Llama 2, Gemma and Mistral have it: a space begins a word, and bytes stand for characters it does not know."""
    pieces = [BEGIN, END, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "▁Hello", "▁world", *"abcdefghijklmnopqrstuvwxyz", *"HW.,"]
    tokenizer = Tokenizer(
        models.BPE({piece: at for at, piece in enumerate(pieces)}, [], unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([BEGIN, END, "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, unk_token="<unk>")


def write_checkpoint(folder: Path, tokenizer: Any = None, family: str = "llama", **changes: Any) -> Path:
    """A model of random numbers that speaks the tokens of a tokenizer."""
    tokenizer = tokenizer or byte_level_tokenizer()
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    model = tiny_model(family, **{"vocab_size": len(tokenizer), "pad_token_id": 0, **ends, **changes})
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
