from pools import ByteVocabulary

from headrace.engines.tiny.tokenizer import TinyVocabulary
from headrace.engines.vocabulary import Vocabulary


def test_what_a_vocabulary_has_is_enough() -> None:
    vocabularies: list[Vocabulary] = [ByteVocabulary(), TinyVocabulary(frozenset([2]), {0: b"\xc3", 1: b"\xa9"})]
    assert [len(vocabulary.end_tokens) for vocabulary in vocabularies] == [1, 1]


def test_each_answer_has_a_text_of_its_own() -> None:
    vocabulary: Vocabulary = TinyVocabulary(frozenset([2]), {0: b"\xc3", 1: b"\xa9"})
    one, other = vocabulary.text(), vocabulary.text()
    assert (one.feed(0), other.feed(1), one.feed(1)) == ("", "\N{REPLACEMENT CHARACTER}", "é")
    assert (one.end(), other.end()) == ("", "")
