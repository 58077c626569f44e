"""Without an event loop: free text becomes rows of a table, each checked against a pydantic model."""

import csv
import sys
from typing import Literal

from pydantic import BaseModel, Field

from tekton_llm_client import FormatError, TektonLLMClient

LETTERS = [
    "The new release is a joy, thank you!",
    "Since Monday I cannot log in any more, please help.",
]


class Letter(BaseModel):
    mood: Literal["glad", "neutral", "angry"]
    urgency: int = Field(ge=1, le=5)
    summary: str


with TektonLLMClient.sync("examples") as client:
    table = csv.writer(sys.stdout)
    table.writerow(Letter.model_fields)
    for letter in LETTERS:
        try:
            found = client.generate_object(letter, Letter, system_prompt="Judge this letter to our support.")
        except FormatError as error:
            sys.exit(f"the model did not manage: {error}")
        table.writerow(found.model_dump().values())

# mood,urgency,summary
# glad,1,
