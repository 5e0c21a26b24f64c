"""Memory peaks and CPU sums over restarts."""

from infra.local.samples import Usage
from infra.local.state import ProcessStatus


def process(name: str, identity: str, rss_mb: float, cpu_s: float) -> ProcessStatus:
    return ProcessStatus(
        name, "live", pid=1, identity=identity, rss_mb=rss_mb, cpu_s=cpu_s
    )


def test_the_total_is_the_peak_of_the_sum():
    usage = Usage()
    usage.add([process("lake", "a", 900, 1), process("producer", "b", 50, 1)])
    usage.add([process("lake", "a", 700, 2), process("producer", "b", 90, 1)])
    assert usage.peak_rss_mb == {"lake": 900.0, "producer": 90.0, "total": 950.0}


def test_a_restarted_process_keeps_the_cpu_time_of_the_one_before():
    usage = Usage()
    for identity, cpu_s in (("a", 5.0), ("a", 7.5), ("b", 0.5), ("b", 2.0)):
        usage.add([process("lake", identity, 1, cpu_s)])
    assert usage.cpu_s == {"lake": 9.5}


def test_a_process_that_does_not_run_is_not_counted():
    usage = Usage()
    usage.add([ProcessStatus("lake", "backoff")])
    assert usage.cpu_s == {}
    assert usage.peak_rss_mb == {"total": 0}


def test_a_process_that_has_just_ended_takes_none_of_its_cpu_time_along():
    usage = Usage()
    for cpu_s in (7.5, 0.0):
        usage.add([process("lake", "a", 1, cpu_s)])
    assert usage.cpu_s == {"lake": 7.5}
