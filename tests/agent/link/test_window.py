"""The window bounds batches and bytes, and never blocks a single batch for ever."""

from agent.link.window import Window


def test_a_batch_larger_than_the_window_passes_alone():
    window = Window(batches=4, max_bytes=10)

    assert window.has_room(100)
    window.add(1, 100, 0.0)
    assert not window.has_room(1)


def test_batches_and_bytes_are_both_bounded():
    window = Window(batches=2, max_bytes=10)
    window.add(1, 4, 0.0)

    assert window.has_room(6)
    assert not window.has_room(7)
    window.add(2, 1, 0.0)
    assert not window.has_room(1)


def test_an_acknowledgement_covers_every_batch_before_it():
    window = Window(batches=9, max_bytes=100)
    for n in (1, 2, 3):
        window.add(n, 10, float(n))
    window.acknowledge(2)

    assert (len(window), window.size, window.oldest_at) == (1, 10, 3.0)
    window.clear()
    assert (len(window), window.size, window.oldest_at) == (0, 0, None)
