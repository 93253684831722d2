"""Has a text said over the WebSocket, and saves its sound.

python examples/seeds/bentoml_tts/client.py 'It is raining. Take a coat.' speech.wav
"""

import sys
import wave

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

RATE = 22_050  # samples per second; what comes at /ws does not say it


def main(text: str, file: str = "speech.wav", server: str = "ws://localhost:8000") -> None:
    with connect(f"{server}/ws") as websocket, wave.open(file, "wb") as sound:
        sound.setparams((1, 2, RATE, 0, "NONE", ""))
        websocket.send(text)
        while piece := websocket.recv(decode=False):
            sound.writeframes(piece)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (ConnectionClosed, OSError) as error:
        sys.exit(f"the voice has broken off, or is not there: {error}")
