"""How it is reached: processes, settings, wiring, HTTP."""
