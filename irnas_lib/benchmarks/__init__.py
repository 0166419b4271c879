"""Speed, memory and exact resumption, measured."""
