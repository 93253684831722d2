"""The service for the test: it counts, and its voice is slow and breaks where a text says so."""

import time

from speak.voice import Voice

from headrace import endpoint, service
from seeds.bentoml_tts.service import TTSExample


class FlawedVoice(Voice):
    """Says "broken" as an exception, and takes a tenth of a second for every other sentence."""

    said = 0  # sentences

    def say(self, sentence: str) -> bytes:
        if "broken" in sentence:
            raise RuntimeError("the secret is 4711")
        time.sleep(0.1)
        self.said += 1
        return super().say(sentence)


@service
class Flawed(TTSExample):
    engine: FlawedVoice

    def setup_tts_engine(self, voice: str) -> Voice:
        return FlawedVoice(voice)

    @endpoint(methods=("GET",))
    async def state(self) -> dict[str, int]:
        return {"said": self.engine.said}
