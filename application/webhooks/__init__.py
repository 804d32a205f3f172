"""Events that are sent to whoever asked for them: each endpoint is a consumer of its own."""
