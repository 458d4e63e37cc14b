"""Background maintenance: search texts and the trimming of tombstones, while a CPU is idle."""
