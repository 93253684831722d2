"""Asks, prints the answer and the calls as they come, and how fast it was. Ctrl-C stops the model.

python examples/seeds/llm_streaming/client.py 'How is the weather in Oslo?' http://localhost:8000
"""

import sys

from headrace.client import Client
from headrace.errors import StreamError


def main(prompt: str = "How is the weather in Oslo?", server: str = "http://localhost:8000") -> None:
    messages = [{"role": "user", "content": prompt}]
    with Client(server) as client, client.stream("ask", messages=messages) as answer:
        for piece in answer:
            if piece["type"] == "content":
                print(piece["content"], end="", flush=True)
            else:
                print(f"{piece['name']}({piece['arguments']}){piece['problem']}")
    print(f"\n{answer.footer['tokens']} tokens, the first after {answer.footer['first_token_seconds']:.2f} s")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except StreamError as error:
        sys.exit(f"{error.code}: {error.message}")
    except KeyboardInterrupt:
        sys.exit("stopped")
