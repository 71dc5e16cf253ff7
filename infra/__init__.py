"""How the system is stood up: the command line, one machine, the cloud, and simulators of the outside."""
