"""Addresses with something of the customer's own in them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rhetor.providers.builtin import load_builtin
from rhetor.providers.places import placed, unplaced
from rhetor.providers.spec import ProviderRow

ROWS = load_builtin()
VERTEX, BEDROCK, AZURE = ROWS["vertex"], ROWS["bedrock"], ROWS["azure"]


def put(row: ProviderRow, environ: Mapping[str, str], moved: bool = False, **said: str) -> ProviderRow:
    return placed(row, said, environ, moved)


def test_the_vendors_variables_fill_an_address() -> None:
    made = put(VERTEX, {"GOOGLE_CLOUD_PROJECT": "lab", "GOOGLE_CLOUD_LOCATION": "europe-west4"})
    assert made.base_url == (
        "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/lab/locations/europe-west4"
        "/publishers/google"
    )
    assert unplaced(made, {}, signed=True) is None


def test_the_configuration_comes_first() -> None:
    made = put(AZURE, {"AZURE_RESOURCE_NAME": "theirs"}, resource="ours")
    assert made.base_url == "https://ours.openai.azure.com/openai/v1"


def test_some_places_have_an_address_of_their_own() -> None:
    environ = {"GOOGLE_CLOUD_PROJECT": "lab"}
    made = put(VERTEX, environ, location="global")
    assert made.base_url.startswith(
        "https://aiplatform.googleapis.com/v1beta1/projects/lab/locations/global/"
    )
    chinese = put(BEDROCK, {"AWS_REGION": "cn-north-1"})
    assert chinese.base_url == "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"
    moved = put(
        BEDROCK.model_copy(update={"base_url": "http://lab.test"}), {}, moved=True, region="cn-north-1"
    )
    assert moved.base_url == "http://lab.test"


def test_claude_stands_where_its_vendors_client_looks_for_it() -> None:
    made = put(ROWS["vertex-anthropic"], {"ANTHROPIC_VERTEX_PROJECT_ID": "lab", "CLOUD_ML_REGION": "eu"})
    assert made.base_url == (
        "https://aiplatform.eu.rep.googleapis.com/v1/projects/lab/locations/eu/publishers/anthropic"
    )


def test_signatures_are_of_a_region() -> None:
    made = put(BEDROCK, {"AWS_DEFAULT_REGION": "eu-west-1"})
    assert made.signing is not None
    assert made.signing.region == "eu-west-1"


@pytest.mark.parametrize(
    ("row", "environ", "missing"),
    [
        (
            AZURE,
            {},
            "no resource for 'azure': set AZURE_OPENAI_RESOURCE or AZURE_RESOURCE_NAME or "
            "providers.azure.place.resource",
        ),
        (
            BEDROCK,
            {"AWS_REGION": " "},
            "no region for 'bedrock': set AWS_REGION or AWS_DEFAULT_REGION or providers.bedrock.place.region",
        ),
        (
            BEDROCK,
            {"AWS_REGION": "evil.example/x?"},
            "no region for 'bedrock': AWS_REGION says 'evil.example/x?', which cannot be one; "
            "set providers.bedrock.place.region",
        ),
    ],
)
def test_what_is_missing_is_said(row: ProviderRow, environ: Mapping[str, str], missing: str) -> None:
    assert unplaced(put(row, environ), environ, signed=True) == missing


def test_everything_that_is_missing_is_said_at_once() -> None:
    told = unplaced(put(VERTEX, {}), {}, signed=True)
    assert told is not None
    assert "no location" in told
    assert "no project" in told


def test_a_region_is_needed_for_signatures_alone() -> None:
    """An address of one's own names none, and with a key nothing is signed."""
    made = put(BEDROCK.model_copy(update={"base_url": "http://lab.test"}), {}, moved=True)
    assert unplaced(made, {}, signed=False) is None
    assert unplaced(made, {}, signed=True) is not None
