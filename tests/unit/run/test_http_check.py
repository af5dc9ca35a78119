"""Checks over HTTP against a real server of this process."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from osloom.run.http_check import HttpCheck, problem_of


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the status that is the path; `/later` is 503 at first."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.asked += 1
        later = 503 if server.asked < 3 else 200
        self.send_response(later if self.path == "/later" else int(self.path[1:4]))
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *arguments: object) -> None:
        """Nothing: it is not what is tested."""


class Server(http.server.HTTPServer):
    asked = 0


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: Server, path: str, **wanted: object) -> str:
    url = f"http://127.0.0.1:{server.server_port}{path}"
    check = HttpCheck(url=url, timeout=30, **wanted)  # type: ignore[arg-type]
    return problem_of(check, lambda: True)


def test_the_answer_has_the_status_and_the_text(server: Server) -> None:
    assert ask(server, "/200?a=b", contains="?a=b") == ""
    assert ask(server, "/404", status=404) == ""


def test_another_answer_is_told_at_once(server: Server) -> None:
    assert ask(server, "/404") == "the answer has the status 404, not 200: /404"
    assert ask(server, "/200", contains="x") == "the answer does not contain `x`: /200"
    assert server.asked == 2


def test_a_server_that_is_not_ready_is_asked_again(server: Server) -> None:
    assert ask(server, "/later") == ""
    assert server.asked == 3


def test_no_one_waits_for_a_program_that_has_ended() -> None:
    check = HttpCheck(url="http://127.0.0.1:1/", timeout=30)
    assert problem_of(check, lambda: False) == "the program ended before it answered"


def test_no_answer_is_told_when_the_time_is_over() -> None:
    check = HttpCheck(url="http://127.0.0.1:1/", timeout=1)
    said = problem_of(check, lambda: True)
    assert said.startswith("no answer: ")
    assert said.endswith(", after 1 seconds")
