"""From the bytes of one event to a verdict.

schema          loads a JSON Schema and makes sure that it can be used
validator       validates one body: size, JSON, duplicate keys, then the schema
violations      what validation says of an event, and the codes
instance_paths  completes the paths that jsonschema-rs reports
duplicate_keys  finds keys that stand more than once in their object
json_positions  where each value stands in a JSON text
json_pointer    JSON Pointers (RFC 6901)
"""
