"""Somebody else's YAML is data, or it is refused with a place and a remedy."""

from __future__ import annotations

import pytest

from rhetor.plugins.reading import MOST_BYTES, MOST_NODES, Unreadable, read_mapping

BOMB = b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"

REFUSED = {
    "an alias bomb": (BOMB, "m.yaml:1:4: is not valid: anchors and aliases are not taken; write it out"),
    "an object": (b"a: !!python/object/apply:os.system [x]", "m.yaml:1:4: is not valid: tags such as"),
    "a tag": (b"a: !!str 1", "m.yaml:1:4: is not valid: tags such as tag:yaml.org,2002:str are not taken"),
    "twice": (b"a: 1\na: 2", "m.yaml:2:1: is not valid: 'a' is there twice; keep one of them"),
    "a list": (b"[1]", "m.yaml: must hold settings, each as `name: value`"),
    "nothing": (b"", "m.yaml: must hold settings"),
    "numbers for names": (b"1: 2", "m.yaml: must hold settings"),
    "too deep": (b"a: " + b"[" * 40 + b"]" * 40, "m.yaml:1:19: is not valid: it is nested more than 16 deep"),
    "too many": (b"a: [" + b"1," * MOST_NODES + b"]", "there are more than 20000 values"),
    "too large": (b"a: " + b"x" * MOST_BYTES, "m.yaml: is larger than 256 KiB"),
    "no text": (b"\xff\xfe\x00", "m.yaml: is not UTF-8 text"),
    "no YAML": (b"a: b: c", "m.yaml:1:5: is not valid: mapping values are not allowed here"),
    "two documents": (b"a: 1\n---\nb: 2", "m.yaml:2:1: is not valid"),
    "a number without end": (b"a: 0x" + b"f" * 5000, "m.yaml:1:4: is not valid: a number of more than 100"),
    "a fraction without end": (b"a: " + b"1:" * 5000 + b"1.5", "a number of more than 100 digits"),
    "an escape for terminals": (b'"\\e[2J": 1', "m.yaml:1:1: is not valid: there are characters that cannot"),
    "half a character": (b'a: "\\ud800"', "there are characters that cannot be shown"),
    "a control character": (b"a: \x07", "m.yaml: is not valid YAML"),
}


@pytest.mark.parametrize(("data", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_more_or_less_than_data_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_mapping(data, "m.yaml")
    assert str(caught.value.problem).startswith(why) or why in str(caught.value.problem)


def test_data_is_read_and_dates_are_text() -> None:
    said = read_mapping(b"\xef\xbb\xbfa: 2020-01-01\nb: {c: [1, yes, null]}", "m.yaml")
    assert said == {"a": "2020-01-01", "b": {"c": [1, True, None]}}
