"""From a message to the events in it.

unpacker     what a message holds, told by its content type, its encoding and its content
decoding     undoes a content encoding, within bounds
splitting    cuts arrays and NDJSON into the exact bytes of each event
cloudevents  takes events out of CloudEvents
"""
