import pytest

from orchestrator.agents.output import BYTES_MAX, LINE_BYTES_MAX, Output


@pytest.fixture
def lines() -> list[str]:
    return []


def test_lines_come_whole_however_they_arrive(lines: list[str]) -> None:
    output = Output(lines.append)
    for piece in (b"on", b"e\ntwo\nth", b"ree"):
        output.feed(piece)
    assert lines == ["one", "two"]
    output.end()
    assert lines == ["one", "two", "three"]


def test_an_endless_line_is_cut(lines: list[str]) -> None:
    output = Output(lines.append)
    output.feed(b"x" * (2 * LINE_BYTES_MAX + 1))
    output.end()
    assert [len(line) for line in lines] == [LINE_BYTES_MAX, LINE_BYTES_MAX, 1]


def test_what_is_too_much_is_left_out_and_says_so(lines: list[str]) -> None:
    output = Output(lines.append)
    for _ in range(3):
        output.feed(b"x\n" * (BYTES_MAX // 2 - 1))
    output.end()
    assert len(lines) == BYTES_MAX // 2 + 1
    assert lines[-1] == "(it printed more than 100,000 bytes; the rest is left out)"


def test_nothing_in_a_line_can_pass_for_another_line(lines: list[str]) -> None:
    output = Output(lines.append)
    output.feed("a\rb\x1b[2Jc\u2028d\te\xff\n".encode() + b"\xff\n")
    mark = "\N{REPLACEMENT CHARACTER}"
    assert lines == [f"a{mark}b{mark}[2Jc{mark}d    e\xff", mark]
