"""Programs that are compared: each is told URL, queue, count and a file of events."""
