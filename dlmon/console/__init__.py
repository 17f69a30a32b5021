"""What people see. rich is imported in this package only.

Data goes to stdout, everything else to stderr. Text from events is text, never markup, and is made
safe for a terminal before it gets there.
"""
