"""Talks to the chat bot and prints what it says as it comes.

python examples/seeds/chatbot/client.py
python examples/seeds/chatbot/client.py ws://localhost:8000 'Space the final' ' These are the voyages'
"""

import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

FINISHED = "<<Response Finished>>"
PROMPTS = ("Space the final", " These are the voyages")


def main(server: str = "ws://localhost:8000", *prompts: str) -> None:
    with connect(server) as websocket:
        for prompt in prompts or PROMPTS:
            websocket.send(prompt)
            while (piece := websocket.recv()) != FINISHED:
                print(piece, end="", flush=True)
            print("\n")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (ConnectionClosed, OSError) as error:
        sys.exit(f"the bot has broken off, or is not there: {error}")
