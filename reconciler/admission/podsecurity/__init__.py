"""The Pod Security Standards: what a pod may ask for in a namespace of a level."""
