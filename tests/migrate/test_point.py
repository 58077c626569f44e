"""Python clients are pointed at the gateway where that is beyond doubt; everything else stays."""

from __future__ import annotations

import ast

import pytest

from tests.migrate.reading import read, why_not, written

BASE = 'base_url=os.environ.get("RHETOR_URL", "http://localhost:8003") + "/v1"'
KEY = 'api_key=os.environ.get("RHETOR_AUTH_TOKEN") or "none"'


def test_no_argument() -> None:
    assert written("import os\nfrom openai import OpenAI\nc = OpenAI()\n") == (
        f"import os\nfrom openai import OpenAI\nc = OpenAI(\n    {BASE},\n    {KEY},\n)\n"
    )


def test_anthropics_paths_have_their_version_themselves() -> None:
    assert '"/v1"' not in written("import anthropic\nanthropic.Anthropic()")


def test_lines_comments_and_line_ends_stay() -> None:
    before = "import os, openai\r\nc = openai.OpenAI(  # one\r\n\tapi_key=k,  # two\r\n\ttimeout=3\r\n)\r\n"
    after = before.replace("\tapi_key=k", f"\t{BASE},\r\n\t{KEY}")
    assert written(before) == after


def test_the_files_own_quotes() -> None:
    assert "os.environ.get('RHETOR_URL'" in written("from openai import OpenAI\nx = 'a', 'b'\nOpenAI()")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (
            '"""Doc."""\nfrom __future__ import annotations\nimport openai\n',
            "annotations\nimport os\n\nimport openai",
        ),
        ('"""Doc."""\nimport json\nimport sys\n\nimport openai\n', "import json\nimport os\nimport sys\n"),
        ("import openai\n", "import os\n\nimport openai\n"),
        (
            "#!/usr/bin/env python\n# A licence.\nimport openai\n",
            "# A licence.\nimport os\n\nimport openai\n",
        ),
        ("from functools import cache\nimport openai\n", "import os\nfrom functools import cache\n"),
        ("import json; import openai\n", "import os\nimport json; import openai\n"),
        ("from os import environ\nimport openai\n", "import os\nfrom os import environ\n"),
        ("import os, sys\nimport openai\n", "import os, sys\nimport openai\n"),
    ],
)
def test_the_import_goes_where_people_would_put_it(head: str, expected: str) -> None:
    after = written(f"{head}openai.OpenAI()\n")
    assert expected in after
    assert after.count("import os\n") <= 1
    ast.parse(after)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("OpenAI(**options)", "hides its arguments"),
        ("OpenAI(key)", "have no names"),
        ("OpenAI(base_url=url)", "somewhere else already"),
        ("OpenAI(base_url='https://api.groq.com/openai/v1')", "somewhere else already"),
        ("OpenAI(http_client=mine)", "http_client"),
        ("OpenAI(\n    api_key=f(\n        x,  # why\n    ),\n)", "a comment"),
        ("AzureOpenAI(azure_endpoint=e)", "cannot be pointed"),
    ],
)
def test_what_is_not_beyond_doubt_stays(call: str, reason: str) -> None:
    assert reason in why_not(f"from openai import AzureOpenAI, OpenAI\nc = {call}\n")


def test_the_vendors_own_address_gives_way() -> None:
    after = written(
        "import os\nimport openai\nc = openai.OpenAI(base_url='https://api.openai.com/v1', api_key=k)\n"
    )
    assert "api.openai.com" not in after
    assert after.count("base_url=") == after.count("api_key=") == 1


@pytest.mark.parametrize(
    "text",
    [
        "from openai import OpenAI\nimport my.os as os\nOpenAI()",
        "from openai import OpenAI\ndef f(os):\n    return OpenAI()",
        "from openai import OpenAI\nos = 1\nOpenAI()",
        "from openai import OpenAI\ndef f():\n    import os\n    return OpenAI()",
        "import os\nfrom openai import OpenAI\ndel os\nOpenAI()",
        "import os\nfrom openai import OpenAI\ndel x, os\nOpenAI()",
        "import os\nfrom openai import OpenAI\nmatch x:\n    case [os]:\n        pass\nOpenAI()",
        "from openai import OpenAI\nmatch x:\n    case {'a': 1, **os} | [*os]:\n        pass\nOpenAI()",
    ],
)
def test_a_name_that_means_something_else_is_not_used(text: str) -> None:
    assert "os means something else" in why_not(text)


@pytest.mark.parametrize(
    "text",
    [
        "from openai import OpenAI\nc = OpenAI()\nimport os\n",
        "from openai import OpenAI\nc = OpenAI()\nimport abc\n",
        "from openai import OpenAI; c = OpenAI()\n",
        "import abc\nfrom openai import OpenAI\ndef f(c=OpenAI()):\n    pass\nimport os\n",
        "from openai import OpenAI\n@(lambda c: lambda f: c)(OpenAI())\ndef f():\n    pass\nimport os\n",
    ],
)
def test_what_is_needed_is_imported_before_it_is_used(text: str) -> None:
    after = written(text)
    assert after.index("import os") < after.index("os.environ")
    exec(compile(after.replace("openai", "tests.migrate.test_point"), "a.py", "exec", dont_inherit=True), {})


class OpenAI:
    """Stands where the SDK would: only the order of statements counts."""

    def __init__(self, base_url: str, api_key: str) -> None:
        pass


def test_a_function_may_use_what_is_imported_below_it() -> None:
    text = "from openai import OpenAI\ndef f():\n    return OpenAI()\nimport os\n"
    assert written(text).count("import os") == 1


@pytest.mark.parametrize("quotes", ['"', "'", '"""'])
def test_inside_of_texts_nothing_is_edited(quotes: str) -> None:
    text = f"import os\nfrom openai import OpenAI\nx = f{quotes}{{OpenAI(timeout=3).models}}{quotes}\n"
    assert "inside an f-string" in why_not(text)


@pytest.mark.parametrize(
    "inner", ["http_client=OpenAI()", "timeout=OpenAI(timeout=3)", "timeout=f(OpenAI())"]
)
def test_a_client_inside_of_another_one_does_not_hide_it_from_a_second_run(inner: str) -> None:
    once = written(f"import os\nfrom openai import OpenAI\nc = OpenAI({inner})\n")
    assert written(once) == once


def test_a_name_with_two_clients_is_in_doubt_for_both() -> None:
    text = "import os, openai\nc = openai.OpenAI(timeout=1) if x else openai.OpenAI()\nc.files.create()\n"
    assert written(text) == text


def test_a_client_that_asks_for_more_than_the_gateway_serves_stays() -> None:
    text = "from openai import OpenAI\nc = OpenAI()\nc.batches.create()\n"
    assert "does not serve" in why_not(text)


@pytest.mark.parametrize(
    "text",
    [
        "from openai import OpenAI\nc = OpenAI(api_key='x', timeout=1)",
        "from openai import OpenAI\nc = (OpenAI(api_key=(a or b)))",
        "from openai import OpenAI\ndef f(c=OpenAI()):\n\treturn [OpenAI() for _ in c]",
        "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='gpt-4o')",
        "import anthropic\nasync def f():\n    async with anthropic.AsyncAnthropic() as c: ...",
        "from openai import OpenAI\nc = OpenAI(\n    **{},\n) if 0 else OpenAI(organization='o')",
        "from openai import OpenAI\nx = OpenAI(api_key=OpenAI().api_key)",
    ],
)
def test_the_result_is_a_program_that_needs_no_second_run(text: str) -> None:
    once = written(text)
    ast.parse(once)
    assert "RHETOR_URL" in once
    assert not read(once).changes
    assert written(once) == once
