"""Traces for an OpenTelemetry collector: names, what of a span is told, and the one module that sends it."""
