"""The commands, by who they are for: those that make calls, those that people type, and tools. Thin: each calls one thing."""
