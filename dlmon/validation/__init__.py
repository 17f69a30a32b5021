"""From the bytes of one event to a verdict.

validator          validates one body: size, JSON, duplicate keys, then the schema
violations         what validation says of an event, and dlmon's own codes
schema             loads a JSON Schema and makes sure that it can be used
schema_files       reads schemas from files
schema_references  finds the documents that a schema refers to
drafts             decides which draft of JSON Schema a schema is in
codes              the code of an error that jsonschema-rs reports
instance_paths     completes the paths that jsonschema-rs reports
duplicate_keys     finds keys that stand more than once in their object
data_formats       recognizes data that is not JSON, such as gzip
json_positions     where each value stands in a JSON text
json_pointer       JSON Pointers (RFC 6901)
"""
