"""Reading files of events: from any source, in any layout, in bounded memory.

`input` gives the bytes of a file or of stdin, decompressed (`compression`). `detect` finds out how
events are laid out in them. `ndjson` and `json_documents` cut them into blocks of events, each of
which knows where it stands in the file (`block`); `reader` puts these together. `discovery` finds
the files of a folder.
"""
