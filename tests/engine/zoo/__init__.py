"""Small network definitions of the kinds that tracing has to understand."""
