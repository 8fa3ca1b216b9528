"""What an artefact costs on this device: latency, throughput, memory. Without torch, as on the device itself."""
