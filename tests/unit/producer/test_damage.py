"""Losses by damage: one gap for each interval, however many records it hid."""

from producer.damage import Loss, joined


def test_losses_that_touch_are_one_under_the_first_name():
    losses = [Loss("c", 200, 300), Loss("a", 100, 150), Loss("b", 150, 180)]
    assert joined(losses) == [Loss("a", 100, 180), Loss("c", 200, 300)]


def test_a_loss_within_another_adds_nothing():
    losses = [Loss("a", 100, 500), Loss("b", 150, 180)]
    assert joined(losses) == [Loss("a", 100, 500)]


def test_a_loss_without_an_end_takes_all_that_follow():
    losses = [Loss("a", 100, 150), Loss("b", 150, None), Loss("c", 400, 500)]
    assert joined(losses) == [Loss("a", 100, None)]
