"""The miniature, killed at drawn moments: it ends in the bytes of an undisturbed one."""

from benchmarks import kills
from benchmarks.arithmetic import copied


def test_a_study_killed_anywhere_ends_in_the_same_bytes(house, tmp_path):
    copied(tmp_path)
    wanted = kills.bytes_made(house.root)
    starts = 0
    for study in kills.killed(tmp_path, kills=8, seed=1, longest=20.0):
        assert kills.differing(wanted, kills.bytes_made(tmp_path)) == []
        assert study.unpaid() == []
        starts += len(study.after)
    assert starts == 8
