"""Who is first, and who is last, of callers on any threads."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from streamkit.once import LastOf, Once


def test_the_first_caller_is_told_from_all_others() -> None:
    once = Once()
    assert [once() for _ in range(4)] == [True, False, False, False]


def test_the_last_of_so_many_callers_is_told_from_the_others() -> None:
    is_last = LastOf(3)
    assert [is_last() for _ in range(3)] == [False, False, True]


def test_of_callers_at_the_same_time_one_is_first_and_one_is_last() -> None:
    with ThreadPoolExecutor(8) as threads:
        for tell in [make() for make in (Once, lambda: LastOf(8)) for _ in range(50)]:
            barrier = Barrier(8)

            def call(_: int, tell: Once | LastOf = tell, barrier: Barrier = barrier) -> bool:
                barrier.wait()
                return tell()

            assert sum(threads.map(call, range(8))) == 1
