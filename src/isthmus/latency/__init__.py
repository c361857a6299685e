"""Where the time to the first token goes: what a model asks of a machine, and what the machine then takes."""
