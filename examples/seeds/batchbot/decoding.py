"""A reply as text, token by token, and the tokens of a prompt."""

from tokenizers.decoders import DecodeStream

from seeds.language_model import LanguageModel, PromptTooLong


class Decoding:
    """One reply.

    Args:
        model: speaks.
        size: tokens of the prompt.
    """

    def __init__(self, model: LanguageModel, size: int) -> None:
        self.model = model
        self.left = model.longest - size
        self.decoder = DecodeStream(skip_special_tokens=True)

    def step(self, token: int) -> str | None:
        """The text that a token completes: empty in the middle of a character. None: the reply is over."""
        self.left -= 1
        if token == self.model.tokenizer.eos_token_id or self.left < 0:
            return None
        return self.decoder.step(self.model.tokenizer.backend_tokenizer, token) or ""


def tokens_of(model: LanguageModel, prompt: str) -> list[int]:
    """The tokens of a prompt; of an empty one, those that a reply to nothing begins with.

    Raises:
        PromptTooLong: there is no room for a reply. It is told here, where it spoils no batch.
    """
    start = model.tokenizer.bos_token or model.tokenizer.eos_token
    tokens: list[int] = model.tokenizer(prompt or start).input_ids
    if len(tokens) >= model.longest:
        most = model.longest - 1
        raise PromptTooLong(f"the prompt has {len(tokens)} tokens, and this model takes {most}; shorten it")
    return tokens
