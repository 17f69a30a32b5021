"""The contenders: each receives a URL, a queue, a count and a file of events."""
