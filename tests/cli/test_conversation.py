"""The messages that a conversation is made of."""

from headrace.cli.conversation import Conversation


def test_a_question_is_asked_after_all_that_was_said() -> None:
    conversation = Conversation("Be brief.")
    conversation.keep("Who are you?", "A model.")
    assert conversation.asking("And I?") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who are you?"},
        {"role": "assistant", "content": "A model."},
        {"role": "user", "content": "And I?"},
    ]


def test_a_question_alone_is_not_kept() -> None:
    conversation = Conversation()
    conversation.asking("Who are you?")
    assert conversation.asking("Hello?") == [{"role": "user", "content": "Hello?"}]


def test_an_answer_that_is_not_whole_is_marked() -> None:
    conversation = Conversation()
    conversation.keep("Count", "1 2 3", "stopped")
    assert conversation.asking("Go on")[1] == {"role": "assistant", "content": "1 2 3 [stopped]"}


def test_after_a_reset_only_the_system_message_is_left() -> None:
    conversation = Conversation("Be brief.")
    conversation.keep("Who are you?", "A model.")
    conversation.reset()
    assert conversation.asking("And I?") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "And I?"},
    ]
