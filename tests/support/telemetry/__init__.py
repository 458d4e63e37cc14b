"""An OTLP receiver, and what it received as plain values."""
