"""Events to bytes and back. Nothing here reads, writes or waits: encoders return bytes, decoders are fed them."""
