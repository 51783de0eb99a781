"""What a job runs on: processes, devices, precision, energy."""
