"""Makes a checkpoint of a small GPT-2 with random weights: `python -m bench.gpt2_checkpoint FOLDER`.

Runs in an environment with torch and transformers. It has 4.5 million parameters, a byte-level tokenizer trained on
this repository, a chat template, and no token that ends an answer: each one is as long as it may be.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

REPOSITORY = Path(__file__).parent.parent
VOCABULARY = 5000
POSITIONS = 512
TEMPLATE = "{% for message in messages %}{{ message.content }}\n{% endfor %}"


def main(folder: str) -> None:
    """Writes it."""
    torch.manual_seed(1)
    texts = [path.read_text() for path in sorted(REPOSITORY.glob("src/**/*.py"))]
    pairs = ByteLevelBPETokenizer()
    pairs.train_from_iterator(texts, vocab_size=VOCABULARY, min_frequency=1, show_progress=False)
    tokenizer = GPT2TokenizerFast(tokenizer_object=pairs._tokenizer, model_max_length=POSITIONS)
    tokenizer.chat_template = TEMPLATE
    shape = {"n_embd": 256, "n_layer": 4, "n_head": 4, "vocab_size": VOCABULARY, "n_positions": POSITIONS}
    GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=None, eos_token_id=None)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1])
