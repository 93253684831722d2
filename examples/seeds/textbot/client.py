"""Sends a prompt to the text bot and prints its words as they come.

python examples/seeds/textbot/client.py
python examples/seeds/textbot/client.py 'Tell me a story about dogs.' http://localhost:8000
"""

import sys

import httpx2


def main(prompt: str = "Tell me a story about dogs.", server: str = "http://localhost:8000") -> None:
    with httpx2.stream("POST", server, params={"prompt": prompt}, timeout=60) as response:
        if response.is_error:
            sys.exit(f"{response.status_code}: {response.read().decode()}")
        for text in response.iter_text():
            print(text, end="", flush=True)
    print()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except httpx2.TransportError as error:
        sys.exit(f"the bot has broken off, or is not there: {error}")
