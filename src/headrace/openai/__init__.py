"""Serves language models as OpenAI's API, and as Anthropic's, to the letter of what their clients accept.

`serve(engine)` makes the service. `chunks` is the only place that knows how a stream of OpenAI's says that it is whole.
"""

from headrace.openai.service import LanguageModel, serve

__all__ = ["LanguageModel", "serve"]
