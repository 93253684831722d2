"""The page of the example `chat_page`, for tests: its model does what it is asked, and tells what it heard."""

from chat_page import ChatPage
from scripted_model import Scripted

from headrace import service


@service
class Chatting(Scripted, ChatPage):
    """The scripted model, and the page at `/`."""
