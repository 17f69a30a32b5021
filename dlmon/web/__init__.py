"""The server behind `dlmon serve`: a page over the store and the broker, and its HTTP interface.

It calls the functions that the commands call: there is no second way to look at rejects, to replay
or to discard. Only this package knows a web server.
"""
