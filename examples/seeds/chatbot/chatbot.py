"""A chat bot: a conversation over a WebSocket. Each message is answered word by word, then with an end mark.

pip install torch transformers fastapi
headrace run examples/seeds/chatbot/chatbot.py
python examples/seeds/chatbot/client.py

Another model, by its name or by the folder of its checkpoint: --set Chatbot.model=NAME
"""

from contextlib import aclosing

from fastapi import FastAPI, WebSocket

from headrace import asgi_app, service
from seeds.language_model import LanguageModel
from seeds.texts import texts

FINISHED = "<<Response Finished>>"

app = FastAPI(title="Chatbot")


@service
@asgi_app(app)
class Chatbot:
    def __init__(self, model: str = "microsoft/DialoGPT-small", longest: int = 10_000) -> None:
        self.model = LanguageModel(model, longest)

    def on_stop(self) -> None:
        self.model.close()

    @app.websocket("/")
    async def handle_request(self, websocket: WebSocket) -> None:
        """Answers with the whole conversation in mind, until the client leaves."""
        await websocket.accept()
        conversation = ""
        async for prompt in texts(websocket):
            conversation += prompt
            async with aclosing(self.model.reply(conversation)) as pieces:
                async for piece in pieces:
                    await websocket.send_text(piece)
                    conversation += piece
            await websocket.send_text(FINISHED)
