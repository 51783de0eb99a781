"""The work of each rule: read, think, write. A stage never imports another."""
