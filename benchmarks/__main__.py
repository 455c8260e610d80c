"""`make bench`: what the project promises of its speed, measured on this machine now."""

from benchmarks import pods, scale

pods.main()
scale.main()
