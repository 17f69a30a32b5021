"""The ceiling: orjson and jsonschema-rs over the lines of a file, without explanations."""

from __future__ import annotations

import sys
from pathlib import Path

import jsonschema_rs
import orjson


def main() -> None:
    """Arguments: the schema and the file. Prints how many events are invalid."""
    schema, events = map(Path, sys.argv[1:])
    is_valid = jsonschema_rs.validator_for(
        orjson.loads(schema.read_bytes()), validate_formats=True
    ).is_valid
    loads = orjson.loads
    with events.open("rb") as lines:
        print(sum(not is_valid(loads(line)) for line in lines))


main()
