"""A text bot: a prompt over HTTP, and the words with which a language model goes on, each as soon as it is there.

pip install torch transformers fastapi
headrace run examples/seeds/textbot/textbot.py
curl -N -X POST 'localhost:8000/?prompt=What+do+you+like+to+do%3F'
python examples/seeds/textbot/client.py

Another model, by its name or by the folder of its checkpoint: --set Textbot.model=NAME
"""

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from headrace import asgi_app, service
from seeds.language_model import LanguageModel

app = FastAPI(title="Textbot")


@service
@asgi_app(app)
class Textbot:
    def __init__(self, model: str = "microsoft/DialoGPT-small", longest: int = 10_000) -> None:
        self.model = LanguageModel(model, longest)

    def on_stop(self) -> None:
        self.model.close()

    @app.post("/", response_class=StreamingResponse)
    async def handle_request(self, prompt: str) -> StreamingResponse:
        """How the model goes on after the prompt."""
        return StreamingResponse(self.model.reply(prompt), media_type="text/plain")
