"""A language model for tests, on disk as the hub would have it: a GPT-2 of 120,000 parameters and its tokenizer.

It is trained on eight replies until it knows them by heart, so what it says is known, and depends on all that was said.
This file, called with a folder by an interpreter that has torch, makes it in some seconds.
"""

import subprocess
import sys
from pathlib import Path

CONTEXT = 256  # tokens that it can read and write together
END = "<|endoftext|>"
REPLIES = {
    "Which pet?\n": "Dogs are the best." + END,
    "Space the final": " frontier." + END,
    "Space the final frontier. These are the voyages": " of the starship." + END,
    "Coffee the first": " drink." + END,
    "Coffee the first drink. These are the voyages": " of the cup." + END,
    END: "Say something." + END,  # the prompt is empty
    "Say nothing.": END,
    "Count to:": " one two three four five six seven eight nine ten" * 12,
}
SEED = 7
IGNORED = -100  # the label of a token that is not learned
STEPS = 300
ENOUGH = 0.01  # loss at which it knows its replies


def make_checkpoint(python: Path, folder: Path) -> Path:
    """Makes the checkpoint in a folder, with an interpreter that has torch and transformers."""
    subprocess.run([str(python), __file__, str(folder)], check=True, timeout=120)
    return folder


def _train(folder: str) -> None:
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    pairs = ByteLevelBPETokenizer()
    texts = [prompt + reply for prompt, reply in REPLIES.items()]
    pairs.train_from_iterator(texts, vocab_size=320, min_frequency=2, special_tokens=[END], show_progress=False)
    tokenizer = GPT2TokenizerFast(
        tokenizer_object=pairs._tokenizer, bos_token=END, eos_token=END, unk_token=END, model_max_length=CONTEXT
    )
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=CONTEXT,
        n_embd=64,
        n_layer=2,
        n_head=4,
        bos_token_id=end,
        eos_token_id=end,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    samples = []
    for prompt, reply in REPLIES.items():
        tokens = tokenizer(prompt + reply, return_tensors="pt").input_ids[:, :CONTEXT]
        labels = tokens.clone()
        labels[:, : len(tokenizer(prompt).input_ids)] = IGNORED
        samples.append((tokens, labels))
    for _ in range(STEPS):
        loss = sum(model(input_ids=tokens, labels=labels).loss for tokens, labels in samples) / len(samples)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < ENOUGH:
            break
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    _train(sys.argv[1])
