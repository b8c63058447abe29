"""What the numbers must be: direct float64 evaluations, outside libraries, and pinned values.

Nothing here imports modalgap. ``direct`` builds the n × n matrices that the library never builds.
"""
