"""Systems by name, restored pictures, and the protocols under which they are measured."""
