"""What each rule does: read, think, write. A stage never imports another."""
