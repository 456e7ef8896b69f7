"""Captions in brackets: hand-made lines, and a walk through the characters as the oracle."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.entities.sentences import Mention, parse_sentence, read_sentences
from data_prep.phrases import Unusable

PIECES = [
    "[/EN#1/people", "[/EN#0/notvisual", "[/EN#23/a/b", "[/EN#4", "[EN#", "/EN#5/x", "[", "]", "/",
    " ", "  ", "dog", "é", "s", ",", ".", "\t",
]  # fmt: skip
MARK = "[/EN#"


def walk(line: str) -> tuple[str, list[tuple[str, str, list[str]]]] | None:
    """Read a line character by character: the plain text, and (words, chain, types) of phrases.

    None if it is malformed.
    """
    text, found, at, depth = "", [], 0, 0
    while at < len(line):
        mark = at
        if line.startswith(MARK, at):
            mark = at + len(MARK)
            while mark < len(line) and not line[mark].isspace() and line[mark] not in "[]":
                mark += 1
        name = line[at + len(MARK) : mark].split("/")
        if mark < len(line) and line[mark] != "[" and name[0]:
            close = mark
            while close < len(line) and line[close] not in "[]":
                close += 1
            if close == len(line) or line[close] == "[":
                return None
            words = line[mark:close].lstrip()
            found.append((words.rstrip(), name[0], [kind for kind in name[1:] if kind]))
            text += words
            at = close + 1
            continue
        depth += {"[": 1, "]": -1}.get(line[at], 0)
        if depth < 0:
            return None
        text += line[at]
        at += 1
    return None if depth or "EN#" in text else (text, found)


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_any_line_reads_as_character_by_character(line: str) -> None:
    expected = walk(line)
    if expected is None:
        with pytest.raises(ValueError, match=r"[\[\]]|mark"):
            parse_sentence(line)
        return
    text, mentions = parse_sentence(line)
    assert (text, [(text[m.start : m.end], m.chain, list(m.types)) for m in mentions]) == expected


@pytest.mark.parametrize(
    ("line", "text", "mentions"),
    [
        ("[/EN#1/people A man] runs .", "A man runs .", [("A man", "1", ("people",))]),
        ("[/EN#1/people A man], [/EN#2/other a hat].", "A man, a hat.",
         [("A man", "1", ("people",)), ("a hat", "2", ("other",))]),
        ("with[/EN#1/people  two men ]s", "withtwo men s", [("two men", "1", ("people",))]),
        ("([/EN#8/people/x Tom]'s)", "(Tom's)", [("Tom", "8", ("people", "x"))]),
        ("[/EN#0/notvisual Each other]", "Each other", [("Each other", "0", ("notvisual",))]),
        ("[/EN#1 A man]", "A man", [("A man", "1", ())]),
        ("[/EN#1/people ] a [/EN#2/x]", " a ", [("", "1", ("people",)), ("", "2", ("x",))]),
        ("A sign [ STOP ] and [a [b]] .", "A sign [ STOP ] and [a [b]] .", []),
        ("[see [/EN#1/other a sign]]", "[see a sign]", [("a sign", "1", ("other",))]),
        ("[/EN#1/a One][/EN#1/a two]", "Onetwo", [("One", "1", ("a",)), ("two", "1", ("a",))]),
        ("Plain words .", "Plain words .", []),
    ],
)  # fmt: skip
def test_lines_by_hand(
    line: str, text: str, mentions: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    found, places = parse_sentence(line)
    assert found == text
    assert [(found[m.start : m.end], m.chain, m.types) for m in places] == mentions


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("[/EN#1/people A [/EN#2/other hat] man] .", "inside a phrase at character 17"),
        ("[/EN#1/people A [sic] man] .", "inside a phrase"),
        ("[/EN#1/people A man .", "a phrase without its ]"),
        ("[/EN#1/people A man]] .", "a ] without its [ at character 21"),
        ("/EN#1/people A man] .", "a ] without its ["),
        ("A [ man .", "a [ without its ]"),
        ("[EN#1/people A man] .", "a broken mark"),
        ("[/EN#/people A man] .", "a broken mark"),
    ],
)
def test_malformed_lines_say_why(line: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault.replace("[", r"\[").replace("]", r"\]")):
        parse_sentence(line)


def test_a_file_with_mark_windows_ends_blank_and_bad_lines(tmp_path: Path) -> None:
    path = tmp_path / "7.txt"
    path.write_bytes(
        b"\xef\xbb\xbf[/EN#1/people A man] .\r\n\r\n  \r\n[/EN#1/people A .\r\n"
        b"caf\xe9 .\r\nA caf\xc3\xa9 .\r\n[/EN#2/other It]"
    )
    sentences, problems = read_sentences(path)
    assert [(s.number, s.text) for s in sentences] == [(0, "A man ."), (3, "A café ."), (4, "It")]
    assert sentences[0].mentions == (Mention(0, 5, "1", ("people",)),)
    assert [(p.where, p.code) for p in problems] == [
        (f"{path}:4", "malformed line"),
        (f"{path}:5", "not UTF-8"),
    ]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="No such file") as caught:
        read_sentences(tmp_path / "7.txt")
    assert caught.value.problem.code == "no sentences"
    assert caught.value.problem.where == str(tmp_path / "7.txt")
