"""The volumes of pods: one kind of volume a file, behind one small protocol."""
