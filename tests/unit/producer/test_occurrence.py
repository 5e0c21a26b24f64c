from hypothesis import given
from hypothesis import strategies as st

from producer.occurrence import Occurrences


@given(st.lists(st.sampled_from([b"a", b"b", b"c"])))
def test_occurrence_is_the_count_of_earlier_identical_messages(messages: list[bytes]):
    occurrences = Occurrences()
    numbers = [occurrences.number(message, 0.0) for message in messages]
    assert numbers == [
        messages[:place].count(message) for place, message in enumerate(messages)
    ]


def test_a_message_is_remembered_45_seconds_after_its_last_sighting():
    #  generation  |---- 0 ----|        |---- 88 ----|      |---- 176
    #  seen         0         44         88         132       176
    occurrences = Occurrences()
    seen_s = [0.0, 44.0, 88.0, 132.0, 176.0]
    assert [occurrences.number(b"a", now_s) for now_s in seen_s] == [0, 1, 2, 3, 4]


def test_a_message_is_forgotten_after_two_generations():
    occurrences = Occurrences()
    occurrences.number(b"a", 0.0)
    occurrences.number(b"other", 50.0)
    assert occurrences.number(b"a", 100.0) == 0


def test_a_new_epoch_forgets():
    occurrences = Occurrences()
    occurrences.number(b"a", 0.0)
    occurrences.forget()
    assert occurrences.number(b"a", 0.0) == 0
