"""HTML of strangers: sanitised, then shown in a frame in which nothing runs and from which nothing is reached.

Three walls, each sufficient by itself: the sanitiser leaves no script; the frame's sandbox runs none, in an origin of
its own; the frame's policy loads nothing but images in the document, and remote ones only when the reader asks.
"""
