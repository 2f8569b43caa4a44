"""How a dataset comes to this machine: found, downloaded, prepared."""
