"""Sends a prompt and prints the answer as it comes.

python examples/seeds/bentoml_llm/client.py
python examples/seeds/bentoml_llm/client.py 'What is a headrace?' http://localhost:8000
"""

import sys

from headrace.client import Client
from headrace.errors import StreamError


def main(prompt: str = "What is a headrace?", server: str = "http://localhost:8000") -> None:
    with Client(server) as client, client.stream("generate", prompt=prompt) as answer:
        for text in answer:
            print(text, end="", flush=True)
    print()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except StreamError as error:
        sys.exit(f"{error.code}: {error.message}")
