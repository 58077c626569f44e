"""Prompts with gaps."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tekton_llm_client import OutputFormat
from tekton_llm_client.prompt_templates import (
    PromptTemplate,
    PromptTemplateRegistry,
    TemplateError,
    load_template,
)
from tekton_llm_client.prompt_templates.registry import file_name

values = st.dictionaries(st.from_regex(r"\A[a-z_]\w{0,8}\Z"), st.text(max_size=30), max_size=4)

# Filling in.


@pytest.mark.parametrize(
    ("template", "variables", "prompt"),
    [
        ("Hello, {{ name }}!", {"name": "World"}, "Hello, World!"),
        ("Hello, {name}!", {"name": "World"}, "Hello, World!"),
        ("Hello!", {"name": "unused"}, "Hello!"),
        ('{name}, answer like {"a": {"b": [1]}} {} {0} { y } {x: string} {e.g. this}', {"name": "Al"},
         'Al, answer like {"a": {"b": [1]}} {} {0} { y } {x: string} {e.g. this}'),
        ("{price:.2f} {n:>3}|{s!r} {s!a:>6} {n:,}", {"price": 3, "n": 7, "s": "é"}, "3.00   7|'é' '\\xe9' 7"),
        ("{% raw %}{y}{% endraw %} {{ x }}", {"x": 1}, "{y} 1"),
        ('{"a": 1}', {}, '{"a": 1}'),
        ("{n} of {n}", {"n": 3}, "3 of 3"),
        ("{a}", {"a": "{b} {{ c }}"}, "{b} {{ c }}"),
        ("{{ a }}", {"a": "{{ b }} {c}"}, "{{ b }} {c}"),
        ("{% if x %}\nyes\n{% endif %}\nend", {"x": True}, "yes\nend"),
        ("{% if x %}yes{% endif %}.", {"x": None}, "."),
        ("{% for i in items %}{{ i }},{% endfor %}", {"items": [1, 2]}, "1,2,"),
        ("<{{ html }}>", {"html": "<b>"}, "<<b>>"),
    ],
)  # fmt: skip
def test_both_languages_work_both_ways(template: str, variables: dict[str, object], prompt: str) -> None:
    made = PromptTemplate("t", template)
    assert made.render(variables) == prompt
    assert made.render(**variables) == prompt
    assert made.format(**variables) == prompt


@pytest.mark.parametrize("template", ["Dear {{ name }}", "Dear {name}", "{% if name %}x{% endif %}"])
def test_a_missing_variable_is_an_error_that_names_it(template: str) -> None:
    with pytest.raises(TemplateError, match="template 'letter': 'name' is missing") as caught:
        PromptTemplate("letter", template).render(nam="Al")
    assert (caught.value.name, caught.value.missing) == ("letter", "name")


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{user.name}", "only {name}"),
        ("{user[name]}", "only {name}"),
        ("{user!x}", "only {name}"),
        ("{user:>{width}}", "only {name}"),
        ("{user.__class__.__mro__}", "only {name}"),
        ("{user:.2f}", "Unknown format code"),
        ("{user:>99999}", "so wide"),
        ("{{ user }} {name}", "{name} is not filled in"),
        ("{{ user }} {name:.2f}", "{name:.2f} is not filled in"),
        ("{% if user %}{name.first}{% endif %}", "{name.first} is not filled in"),
        ("{% raw %}{a}{% endraw %}{name}", "{name} is not filled in"),
    ],
)
def test_a_template_is_never_half_filled(template: str, problem: str) -> None:
    with pytest.raises(TemplateError, match=f"template 'half': .*{re.escape(problem)}"):
        PromptTemplate("half", template).render(user="Al", name="x", width=3)


ATTACKS = [
    "{{ ''.__class__.__mro__ }}",
    "{{ x.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__ }}",
    "{{ x.append(1) }}",
    "{{ ''|attr('__class__') }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{% for i in range(10000000) %}{% endfor %}",
    "{{ 1 / 0 }}",
    "{{ unclosed",
    "{% include '/etc/passwd' %}",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_template_never_reaches_beyond_its_values(attack: str) -> None:
    given: list[int] = []
    with pytest.raises(TemplateError, match="template 'bad'"):
        PromptTemplate("bad", attack).render(x=given)
    assert given == []


@given(st.text(max_size=80))
def test_values_are_never_executed(value: str) -> None:
    assert PromptTemplate("t", "<{{ v }}>").render(v=value) == f"<{value}>"
    assert PromptTemplate("t", "<{v}>").render(v=value) == f"<{value}>"


@given(st.text(min_size=1, max_size=80), values)
def test_a_template_renders_or_raises_its_own_error(text: str, variables: dict[str, str]) -> None:
    with suppress(TemplateError):
        assert isinstance(PromptTemplate("t", text).render(variables), str)


def test_jinja_is_only_needed_for_its_own_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    from tekton_llm_client.prompt_templates import template

    monkeypatch.setitem(sys.modules, "jinja2", None)
    template._environment.cache_clear()
    template._compiled.cache_clear()
    assert PromptTemplate("t", "Hello, {name}!").render(name="World") == "Hello, World!"
    with pytest.raises(ImportError, match=r"tekton-llm-client\[templates\]"):
        PromptTemplate("t", "Hello, {{ name }}!").render(name="World")


def test_a_template_says_something() -> None:
    with pytest.raises(TemplateError, match="expected text"):
        PromptTemplate("empty")


# The registry.


def test_a_registry_keeps_templates_by_name() -> None:
    registry = PromptTemplateRegistry()
    assert "general_system" in registry.templates

    assert registry.register({"name": "custom", "template": "For {{ purpose }}"}) == "custom"
    assert registry.register(PromptTemplate("other", "{x}", tags=["a"])) == "other"

    assert registry.render("custom", purpose="testing") == "For testing"
    assert registry.render("custom", {"purpose": "testing"}) == "For testing"
    assert registry.render("custom", variables={"purpose": "testing"}, name="a variable") == "For testing"
    assert registry.get("custom") is registry.get_template("custom") is registry.templates["custom"]
    assert {"name": "other", "description": None, "version": "1.0.0", "tags": ["a"]} in (
        registry.list_templates()
    )
    assert registry.remove("custom") is True
    assert registry.remove("custom") is False
    assert registry.get("custom") is None


def test_an_unknown_template_is_an_error_that_names_those_there_are() -> None:
    registry = PromptTemplateRegistry(load_defaults=False)
    registry.register({"name": "greeting", "content": "Hi"})
    with pytest.raises(ValueError, match="no template 'greting'; there are: greeting"):
        registry.render("greting")


def test_a_template_may_be_registered_under_another_name() -> None:
    registry = PromptTemplateRegistry(load_defaults=False)
    plain = PromptTemplate(template="Explain {command}", output_format=OutputFormat.TEXT)
    assert registry.register_template("command_analysis", plain) == "command_analysis"
    kept = registry.get_template("command_analysis")
    assert kept is not None
    assert (kept.name, kept.output_format) == ("command_analysis", OutputFormat.TEXT)
    assert kept.format(command="ls") == "Explain ls"
    registry.register_template("plain", "just text")
    registry.register_template("fields", {"template": "{x}"})
    assert registry.render("fields", x=1) == "1"
    with pytest.raises(TemplateError, match="needs a name"):
        registry.register(plain)


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("general_system", {}),
        ("code_assistant", {}),
        ("concise_response", {}),
        ("json_response", {}),
        ("structured_extraction", {"format": "JSON", "content": "Ann, 7", "extraction_target": "names"}),
        ("code_review", {"language": "Python", "focus_area": "security", "code": "eval(x)"}),
    ],
)
def test_the_bundled_templates_can_be_filled_in(name: str, variables: dict[str, str]) -> None:
    registry = PromptTemplateRegistry()
    prompt = registry.render(name, variables)
    assert all(value in prompt for value in variables.values())
    assert registry.templates[name].description
    for variable in variables:
        with pytest.raises(TemplateError, match=variable):
            registry.render(name, {key: value for key, value in variables.items() if key != variable})


# Files.


def write(path: Path, said: object) -> Path:
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    return path


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("greeting.json", {"name": "greeting", "template": "Hi {who}"}),
        ("greeting.json", {"template": "Hi {who}"}),
        ("greeting.json", {"content": "Hi {who}"}),
        ("greeting.json", "\"Hi {who}\""),
        ("any.json", {"greeting": "Hi {who}"}),
        ("any.json", {"greeting": {"template": "Hi {who}", "category": "x"}}),
        ("any.json", [{"name": "greeting", "template": "Hi {who}"}]),
        ("greeting.yaml", "template: |-\n  Hi {who}\nversion: 1.0\n"),
        ("any.yml", "greeting:\n  content: Hi {who}\n"),
        ("greeting.txt", "Hi {who}"),
        ("greeting.md", "Hi {who}"),
    ],
)  # fmt: skip
def test_templates_come_in_files_of_many_shapes(tmp_path: Path, file: str, said: object) -> None:
    path = write(tmp_path / file, said)
    template = load_template(path)
    assert (template.name, template.render(who="you")) == ("greeting", "Hi you")
    assert load_template(str(path), name="renamed").name == "renamed"


def test_of_several_templates_the_name_says_which(tmp_path: Path) -> None:
    path = write(tmp_path / "two.json", {"a": "A", "b": {"template": "B", "owner": "me"}})
    assert load_template(path, "b").template == "B"
    assert load_template(path, "b").metadata == {"owner": "me"}
    with pytest.raises(TemplateError, match="several templates: give the name of one of a, b"):
        load_template(path)
    with pytest.raises(TemplateError, match="no template 'c'"):
        load_template(path, "c")


def test_templates_come_with_packages() -> None:
    bundled = load_template("code_review.json")
    assert bundled == load_template("code_review")
    resource = "tekton_llm_client.prompt_templates:templates/code_review.json"
    assert load_template(resource) == bundled
    assert load_template(resource, name="mine").name == "mine"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("nowhere.json", "no such file"),
        ("", "no such file"),
        ("no_such_package_at_all:x.json", "no package"),
        ("tekton_llm_client.prompt_templates:../exceptions.py", "within the package"),
        ("tekton_llm_client.prompt_templates:/etc/passwd", "within the package"),
        ("tekton_llm_client.prompt_templates:templates/none.json", "no such file"),
        ("tekton_llm_client.prompt_templates:", "within the package"),
    ],
)
def test_what_is_not_there_is_told(source: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        load_template(source)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("bad.json", "{"),
        ("bad.json", "[]"),
        ("bad.json", "{}"),
        ("bad.json", "12"),
        ("bad.json", '{"template": ""}'),
        ("bad.json", '{"a": {"template": 5}}'),
        ("bad.json", '{"template": "x", "metadata": 5}'),
        ("bad.json", "[" * 5000),
        ("bad.yaml", "a: [b"),
        ("bad.yaml", "!!python/object/apply:os.system ['true']"),
        ("bad.txt", ""),
    ],
)
def test_a_file_that_is_no_template_is_told_by_name(tmp_path: Path, file: str, said: str) -> None:
    path = write(tmp_path / file, said)
    with pytest.raises(TemplateError, match="bad"):
        load_template(path)
    registry = PromptTemplateRegistry(load_defaults=False)
    write(tmp_path / "a_good_one.txt", "good")
    with pytest.raises(TemplateError, match="bad"):
        registry.load_from_directory(tmp_path)
    assert registry.templates == {}


def test_a_name_that_no_file_can_have_is_told() -> None:
    for source in ("x" * 5000, "a\0b", "", ":x", "/"):
        with pytest.raises(TemplateError):
            load_template(source)


def test_without_yaml_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.yaml", "template: x")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r"tekton-llm-client\[yaml\]"):
        load_template(path)


def test_a_folder_is_loaded_at_once(tmp_path: Path) -> None:
    write(tmp_path / "a.json", {"a": "A", "b": "B"})
    write(tmp_path / "c.yaml", "template: C")
    write(tmp_path / "README.txt", "not a template")
    write(tmp_path / "code.py", "raise SystemExit")
    (tmp_path / "folder.json").mkdir()
    for load in ("load_from_directory", "load_templates_from_directory"):
        registry = PromptTemplateRegistry(load_defaults=False)
        assert getattr(registry, load)(str(tmp_path)) == 3
        assert sorted(registry.templates) == ["a", "b", "c"]
    assert sorted(PromptTemplateRegistry(tmp_path, load_defaults=False).templates) == ["a", "b", "c"]
    with pytest.raises(TemplateError, match="no such folder"):
        registry.load_from_directory(tmp_path / "none")


def test_what_was_saved_is_there_again(tmp_path: Path) -> None:
    registry = PromptTemplateRegistry(tmp_path / "new")
    registry.register(PromptTemplate("mine", "{x} – ü", "d", "2.0", ["t"], {"k": [1]}, "json"))
    path = registry.save_to_file("mine")
    assert path == tmp_path / "new" / "mine.json"
    assert load_template(path) == registry.get("mine")
    assert registry.save_to_file("mine", tmp_path / "elsewhere.json").is_file()
    assert len(registry.save_all()) == len(registry.templates)
    again = PromptTemplateRegistry(tmp_path / "new", load_defaults=False)
    assert again.templates == registry.templates
    with pytest.raises(TemplateError, match="where to"):
        PromptTemplateRegistry().save_all()
    with pytest.raises(TemplateError, match="no template 'none'"):
        registry.save_to_file("none")


@pytest.mark.parametrize("name", ["../../up", "/etc/passwd", "..", ".", "a/b", "a\\b", ".hidden", "C:x", "ü"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    registry = PromptTemplateRegistry(tmp_path / "in", load_defaults=False)
    registry.register(PromptTemplate(name, "x"))
    assert registry.save_to_file(name).parent == tmp_path / "in"
    assert registry.save_all(tmp_path / "in")[0].is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@given(st.text(min_size=1), st.text(min_size=1))
def test_each_name_has_a_file_of_its_own(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)
