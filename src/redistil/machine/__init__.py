"""The machine that a job runs on: processes, devices, precision, energy."""
