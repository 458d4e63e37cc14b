"""What each name of `names` means: type, description and values of attributes; kind, parent and attributes of spans.

`python -m deploy.registry` writes the declarations to docs/registry/, in the format of OpenTelemetry Weaver. Nothing
here is used at run time.
"""
