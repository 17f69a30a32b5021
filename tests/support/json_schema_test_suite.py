"""The official JSON-Schema-Test-Suite: schemas, values, and whether each value is valid.

`tests/unit/json-schema-test-suite.zip` holds the folder `json` of the source distribution of
jsonschema 4.26.0, as far as it concerns drafts 4 to 2020-12, with its license (MIT).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

ARCHIVE = Path(__file__).parent.parent / "unit" / "json-schema-test-suite.zip"

DRAFTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}


class Group(NamedTuple):
    """A schema and its cases: a value, as JSON, and whether the schema allows it.

    optional: whether the suite leaves it to an implementation.
    """

    name: str
    schema: Any
    cases: list[tuple[bytes, bool]]
    optional: bool


@cache
def archive() -> zipfile.ZipFile:
    return zipfile.ZipFile(ARCHIVE)


def groups(draft: str) -> Iterator[Group]:
    for name in archive().namelist():
        if name.startswith(f"tests/{draft}/"):
            for group in orjson.loads(archive().read(name)):
                schema = group["schema"]
                if isinstance(schema, dict):
                    schema = {"$schema": DRAFTS[draft], **schema}
                cases = [(orjson.dumps(case["data"]), case["valid"]) for case in group["tests"]]
                label = f"{name}: {group['description']}"
                yield Group(label, schema, cases, "/optional/" in name)


def extract_remotes(folder: Path) -> Path:
    """Write the documents that its schemas refer to as http://localhost:1234/ and their path."""
    remotes = [name for name in archive().namelist() if name.startswith("remotes/")]
    archive().extractall(folder, remotes)
    return folder / "remotes"
