"""Warnings of a study, gathered from its jobs' logs."""

from redistil.storage import logs


def write(folder, path, *lines):
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))


def test_one_warning_is_told_once(tmp_path):
    for name in ("a", "b", "c"):
        write(tmp_path, f"mine/{name}.log", "1/2", f"{logs.MARK}two queries left out")
    told = list(logs.warnings(tmp_path, "study", {"a", "b"}))
    assert told == [f"{tmp_path}/mine/a.log: two queries left out (so do 1 more logs)"]


def test_other_artefacts_logs_are_left_out(tmp_path):
    write(tmp_path, "mine/other.log", f"{logs.MARK}unseen")
    write(tmp_path, "tokens/a.log", f"{logs.MARK}unseen")
    write(tmp_path, "study/train.log", f"{logs.MARK}seen")
    told = list(logs.warnings(tmp_path, "study", {"a"}))
    assert told == [f"{tmp_path}/study/train.log: seen"]


def test_only_files_that_exist_are_named(tmp_path):
    (tmp_path / "b.html").write_text("")
    files = {"leaderboard": str(tmp_path / "a.csv"), "page": str(tmp_path / "b.html")}
    assert list(logs.made(**files)) == [f"page:        {tmp_path / 'b.html'}"]
    (tmp_path / "a.csv").write_text("")
    assert list(logs.made(**files))[0] == f"leaderboard: {tmp_path / 'a.csv'}"
    assert list(logs.made()) == []
