from producer.backoff import Backoff


def test_waits_double_up_to_the_maximum():
    backoff = Backoff(1.0, 30.0, draw=lambda: 1.0)
    assert [backoff.next_s() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_success_starts_over():
    backoff = Backoff(1.0, 30.0, draw=lambda: 1.0)
    backoff.next_s()
    backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 1.0


def test_jitter_reaches_down_to_zero():
    assert Backoff(1.0, 30.0, draw=lambda: 0.0).next_s() == 0.0


def test_what_is_about_to_work_is_tried_often_before_the_waits_grow():
    backoff = Backoff(0.5, 30.0, draw=lambda: 1.0, eager_tries=3)
    assert [backoff.next_s() for _ in range(6)] == [0.5, 0.5, 0.5, 0.5, 1, 2]


def test_ten_thousand_failures_are_no_overflow():
    backoff = Backoff(1.0, 30.0, draw=lambda: 1.0)
    backoff.tries = 10_000
    assert backoff.next_s() == 30.0
