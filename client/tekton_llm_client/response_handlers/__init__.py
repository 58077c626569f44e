"""What becomes of a reply: data out of text, text out of streams."""

from tekton_llm_client.exceptions import FormatError, JSONParsingError
from tekton_llm_client.response_handlers.json_parser import JSONParser, extract_json, parse_json
from tekton_llm_client.response_handlers.stream_handler import StreamHandler, collect_stream, stream_to_string
from tekton_llm_client.response_handlers.structured_output import OutputFormat, StructuredOutputParser

__all__ = [
    "FormatError",
    "JSONParser",
    "JSONParsingError",
    "OutputFormat",
    "StreamHandler",
    "StructuredOutputParser",
    "collect_stream",
    "extract_json",
    "parse_json",
    "stream_to_string",
]
