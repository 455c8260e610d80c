from __future__ import annotations

from reconciler.core.measures import Counter, Histogram, exposition


def test_the_text_is_prometheus_exposition():
    seconds = Histogram("x_seconds", "How long.", ("source",), (0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 30.0):
        seconds.observe(value, "main")
    total = Counter("x_total", "How often.", ("source", "outcome"))
    total.count("main", "Healthy")
    total.count("main", "Healthy")
    total.count('a"b\\c\n', "Failed")
    assert exposition((seconds, total)) == (
        "# HELP x_seconds How long.\n"
        "# TYPE x_seconds histogram\n"
        'x_seconds_bucket{source="main",le="0.1"} 2\n'
        'x_seconds_bucket{source="main",le="1"} 3\n'
        'x_seconds_bucket{source="main",le="+Inf"} 4\n'
        'x_seconds_sum{source="main"} 30.65\n'
        'x_seconds_count{source="main"} 4\n'
        "# HELP x_total How often.\n"
        "# TYPE x_total counter\n"
        'x_total{source="a\\"b\\\\c\\n",outcome="Failed"} 1\n'
        'x_total{source="main",outcome="Healthy"} 2\n'
    )


def test_a_measure_that_was_never_taken_has_no_sample():
    assert exposition((Counter("x_total", "How often.", ()),)).count("\n") == 2
