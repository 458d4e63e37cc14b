"""An OTLP receiver, and the spans and metric points that it received as plain values."""
