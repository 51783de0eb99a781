"""Downloads, from a local server that answers as good and bad servers do."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from redistil.cli import cli
from redistil.errors import BadSettings, BadSource
from redistil.stages import downloads
from redistil.storage import digests

BODY = bytes(range(256)) * 300
MD5 = hashlib.md5(BODY).hexdigest()
SHA256 = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Each path is another kind of server; the server keeps the requests."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        span = self.headers.get("Range")
        self.server.requests.append((self.path, span))
        getattr(self, "at_" + self.path.strip("/"))(int(span[6:-1]) if span else None)

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in ({"Content_Length": len(body)} | headers).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def at_file(self, begin):
        if begin is None:
            self.answer(200, BODY)
        elif begin >= len(BODY):
            self.answer(416, b"")
        else:
            span = f"bytes {begin}-{len(BODY) - 1}/{len(BODY)}"
            self.answer(206, BODY[begin:], Content_Range=span)

    def at_plain(self, begin):
        self.answer(200, BODY)

    def at_astray(self, begin):
        if begin is None:
            self.answer(200, BODY)
        else:
            self.answer(206, BODY, Content_Range=f"bytes 0-{len(BODY) - 1}/{len(BODY)}")

    def at_short(self, begin):
        self.answer(200, BODY[:1000], Content_Length=len(BODY))

    def at_moved(self, begin):
        self.answer(302, b"", Location="/file")

    def at_local(self, begin):
        self.answer(302, b"", Location="file:///etc/hostname")

    def at_ftp(self, begin):
        self.answer(302, b"", Location="ftp://127.0.0.1:9/scores.tsv")

    def at_gone(self, begin):
        self.answer(404, b"")


@pytest.fixture(scope="module")
def serving():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(serving, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    serving.requests = []
    return serving


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "scores.tsv"


def record(out):
    return out.with_name("scores.tsv.json")


def download(out, *args):
    downloads.download(out, record(out), *args)


def part(out):
    return out.with_name("scores.tsv.part")


@pytest.mark.parametrize("sums", [{"md5": MD5}, {"sha256": SHA256.upper()}])
@pytest.mark.parametrize("path", ["file", "plain", "moved"])
def test_a_file_is_fetched_and_checked(out, url, path, sums):
    download(out, f"{url}/{path}", sums, len(BODY))
    assert out.read_bytes() == BODY
    assert not part(out).exists()


@pytest.mark.parametrize("path", ["file", "plain", "astray", "moved"])
def test_parts_continue_or_restart(out, url, server, path):
    part(out).write_bytes(BODY[:5000])
    download(out, f"{url}/{path}", {"sha256": SHA256})
    assert out.read_bytes() == BODY
    assert server.requests[0] == (f"/{path}", "bytes=5000-")


def test_only_the_rest_is_fetched(out, url, server):
    part(out).write_bytes(BODY[:-1])
    download(out, f"{url}/file", {"sha256": SHA256})
    assert server.requests == [("/file", f"bytes={len(BODY) - 1}-")]


def test_a_broken_connection_keeps_its_part(out, url):
    with pytest.raises(
        BadSource, match=f"received 1000 bytes, expected {len(BODY)}.*by hand as .*scores.tsv"
    ):
        download(out, f"{url}/short", {"md5": MD5})
    assert not out.exists()
    assert part(out).read_bytes() == BODY[:1000]
    download(out, f"{url}/file", {"md5": MD5})
    assert out.read_bytes() == BODY


def test_whole_parts_are_not_refetched(out, url, server):
    part(out).write_bytes(BODY)
    download(out, f"{url}/file", {"md5": MD5}, len(BODY))
    assert server.requests == []
    assert out.read_bytes() == BODY


@pytest.mark.parametrize("stale", [BODY, BODY + b"more"])
def test_parts_past_the_end_restart(out, url, stale):
    part(out).write_bytes(stale)
    download(out, f"{url}/file", {"md5": MD5})
    assert out.read_bytes() == BODY


def test_another_file_is_refused_and_removed(out, url):
    with pytest.raises(BadSource, match=f"md5 {'0' * 32} declared, {MD5} found"):
        download(out, f"{url}/file", {"md5": "0" * 32})
    assert list(out.parent.iterdir()) == []


def test_foreign_parts_are_removed(out, url):
    part(out).write_bytes(b"x" * 5000)
    with pytest.raises(BadSource, match=f"sha256 {SHA256} declared"):
        download(out, f"{url}/file", {"sha256": SHA256})
    download(out, f"{url}/file", {"sha256": SHA256})
    assert out.read_bytes() == BODY


def test_another_size_is_refused(out, url):
    with pytest.raises(BadSource, match=f"7 bytes declared, {len(BODY)} found"):
        download(out, f"{url}/file", {"md5": MD5}, 7)
    assert list(out.parent.iterdir()) == []


def test_every_sum_that_is_given_counts(out, url):
    with pytest.raises(BadSource, match="sha256"):
        download(out, f"{url}/file", {"md5": MD5, "sha256": "0" * 64})


def test_present_files_are_checked_and_kept(out, url, server):
    out.write_bytes(BODY)
    download(out, f"{url}/gone", {"md5": MD5})
    assert server.requests == []
    out.write_bytes(BODY[1:])
    with pytest.raises(BadSource, match=f"is not the file of .*{MD5} declared"):
        download(out, f"{url}/gone", {"md5": MD5})
    assert out.read_bytes() == BODY[1:]


def test_a_file_without_an_address_is_put_there_by_hand(out):
    with pytest.raises(BadSource, match=r"scores.tsv is not there, and has no `url`"):
        download(out, None, {"md5": MD5})
    out.write_bytes(BODY)
    download(out, None, {"md5": MD5})
    assert digests.read_json(record(out))["url"] is None
    with pytest.raises(BadSource, match="is not the file declared"):
        download(out, None, {"md5": MD5[::-1]})


def test_failures_are_one_sentence(out, url):
    for place, reason in ((f"{url}/gone", "404 Not Found"), ("http://127.0.0.1:9/x", "refused")):
        with pytest.raises(BadSource, match=reason) as caught:
            download(out, place, {"md5": MD5})
        assert place in str(caught.value) and str(out) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://host/x", "scores.tsv", "http://"])
def test_other_protocols_than_http_are_refused(out, place):
    with pytest.raises(BadSettings, match="http or https"):
        download(out, place, {"md5": MD5})


@pytest.mark.parametrize(
    ("path", "reason"), [("local", "unsupported protocol"), ("ftp", "unsupported protocol")]
)
def test_a_redirect_stays_with_http(out, url, path, reason):
    with pytest.raises(BadSource, match=reason):
        download(out, f"{url}/{path}", {"md5": MD5})
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("sums", [{}, {"md5": "short"}, {"sha256": MD5}, {"md5": "g" * 32}])
def test_nothing_is_taken_unchecked(out, sums):
    with pytest.raises(BadSettings):
        download(out, "http://127.0.0.1:9/x", sums)


def test_only_a_passed_check_is_recorded(out, url):
    download(out, f"{url}/file", {"md5": MD5})
    wanted = {"url": f"{url}/file", "md5": MD5, "bytes": len(BODY)}
    assert digests.read_json(record(out)) == wanted | {"xxh3": digests.of(out)}
    out.write_bytes(BODY[::-1])
    with pytest.raises(BadSource, match="is not the file"):
        download(out, f"{url}/file", {"md5": MD5})
    assert out.read_bytes() == BODY[::-1] and not record(out).exists()


def test_the_command(out, url):
    words = ["download", str(out), str(record(out)), "--url", f"{url}/file", "--md5", MD5]
    words += ["--bytes", str(len(BODY))]
    cli.main(args=words, prog_name="redistil", standalone_mode=False)
    assert out.read_bytes() == BODY and record(out).exists()
