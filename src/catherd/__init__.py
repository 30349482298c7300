"""catherd: several AI agents, one git repo, a folder of YAML files for a bus, and Make for a clock."""

__version__ = "0.1.0"
