"""What the stored events say: summaries of them, and the statistics made from those.

Knows neither a terminal nor the web.
"""
