"""A daemon with fewer rights says at its start what will not work."""

from reconciler.kubelet.capabilities import shortfalls

ALL = (1 << 41) - 1


def test_a_daemon_with_all_rights_lacks_nothing():
    assert list(shortfalls(ALL, ALL)) == []


def test_each_missing_right_is_named_with_what_it_costs():
    told = list(shortfalls(ALL & ~(1 << 12) & ~(1 << 10), ALL))
    assert told == [
        "CAP_NET_ADMIN is missing: pods get no network and services no rules",
        "CAP_NET_BIND_SERVICE is missing: the cluster DNS cannot listen on port 53",
    ]


def test_what_only_children_need_is_looked_for_in_the_bounding_set():
    (told,) = shortfalls(ALL & ~(1 << 24), ALL & ~(1 << 24))
    assert told == "CAP_SYS_RESOURCE is missing: an oom_score_adj below 0 becomes 0"
    assert list(shortfalls(ALL & ~(1 << 24), ALL)) == []
