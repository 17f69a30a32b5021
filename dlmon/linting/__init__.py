"""What `validate-file` does with the blocks of a file.

`prefilter` finds the events that may be invalid, many at once. `checker` explains what is wrong
with these and where (`locations`), or only counts it (`violation_counter`); the results are
`findings`. `worker_pool` checks blocks in several processes. `duplicate_ids` compares the ids of
all files. `split` writes valid and invalid events to files of their own.
"""
