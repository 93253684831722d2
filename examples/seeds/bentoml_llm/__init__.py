"""A language model behind the API of OpenAI: `service.py` is where to begin."""
