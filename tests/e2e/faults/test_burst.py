"""Row E4: many streams at the same moment; all are whole, and none waits for the others."""

from crowd import crowd
from figures import Figure
from served import Served


def test_500_streams_at_once_are_whole_in_order_and_fair(ward: Served, figure: Figure) -> None:
    crowd(ward.port, "/count", [{"to": 1}] * 20)
    answers = crowd(ward.port, "/count", [{"to": 20, "pause": 0.05, "text": f"{n}:"} for n in range(500)])
    broken = sum(not answer.is_whole([f"{n}:{k}" for k in range(20)]) for n, answer in enumerate(answers))
    figure("E4", "streams of 500 that are not whole and in order", broken, 0)
    seconds = sorted(answer.seconds for answer in answers)
    figure("E4", f"slowest of 500 streams, the fastest took {seconds[0]:.2f} s", seconds[-1], 2 * seconds[0] + 0.5)
