"""Reading files of events: from any source, in any layout, in bounded memory.

`source` gives the bytes of a file or of stdin, decompressed. `layout` tells how events are laid out
in them. `lines` (NDJSON) and `documents` (JSON texts, arrays of events) cut them into blocks of
events, each of which knows where in the file it stands.
"""
